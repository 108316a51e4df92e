/**
 * A recorder that is killed: `node recorder.ts JOB`, a job as JSON. Four devices at 200 Hz go into outputs. It writes the number of
 * accepted samples to its standard output, a line each time. Or it resumes what another one left.
 */
import { pipeToSink, PollSource, Recorder } from "@sampleline/core"
import { Cause, Duration, Effect, Logger, Stream } from "effect"
import * as fs from "node:fs"
import { Journal } from "../src/index.ts"
import { journalIn, layerOf, type Outputs, pick } from "./outputs.ts"

export interface Job {
  readonly does: "record" | "record without a journal" | "resume"
  /** How long it records, in seconds. Default: until it is killed. */
  readonly seconds?: number
  /** How many ticks it records, also on a busy machine, which skips slots. Default: any number. */
  readonly ticks?: number
  readonly folder: string
  /** The module that exports `outputs`, and the names of those to use. */
  readonly module: string
  readonly names: ReadonlyArray<string>
  /** Default: `create`. */
  readonly mode?: "create" | "append"
  /** Devices that never answer. */
  readonly isSilent?: boolean
  /** Bounds the journal, and so the size of its segments. */
  readonly maxBytes: number
  /** When the journal is forced to disk. Default: `interval`. */
  readonly fsync?: "never" | "interval" | "always"
}

const job: Job = JSON.parse(process.argv.at(-1)!)
const { outputs }: { readonly outputs: Outputs } = await import(job.module)

const Devices = PollSource.layer({
  devices: ["fuel", "air", "purge", "bypass"],
  poll: (() => {
    let n = 0
    return () =>
      job.isSilent === true
        ? Effect.fail("no answer")
        : Effect.sync(() => ({ Count: n++, Flow: n / 8, Gas: n % 3 === 0 ? null : "N2" }))
  })()
})

const options = {
  path: journalIn(job.folder),
  maxBytes: job.maxBytes,
  fsync: job.fsync,
  flushInterval: "20 millis"
} as const
const mode = job.does === "resume" ? "append" : job.mode ?? "create"
const layer = layerOf(pick(outputs, job.names), job.folder, mode)
const recording = Recorder.record({
  rateHz: 200,
  duration: job.seconds === undefined ? undefined : Duration.seconds(job.seconds)
}).pipe(Stream.take(job.ticks ?? Infinity))

const work: { readonly [does in Job["does"]]: Effect.Effect<unknown, unknown> } = {
  "record": recording.pipe(
    Journal.pipeToSink({ ...options, onAccepted: (samples) => fs.writeSync(1, `${samples}\n`) }),
    Effect.provide([layer, Devices])
  ),
  "record without a journal": recording.pipe(pipeToSink({ batchSize: 8 }), Effect.provide([layer, Devices])),
  "resume": Effect.provide(Journal.resume(options), layer)
}

const exit = await Effect.runPromiseExit(Effect.provide(Effect.asVoid(work[job.does]), Logger.layer([])))
if (exit._tag === "Failure") {
  fs.writeSync(2, `${Cause.hasDies(exit.cause) ? "defect: " : ""}${Cause.pretty(exit.cause)}`)
  process.exitCode = 1
}

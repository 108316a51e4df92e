/**
 * A recorder that is killed: `node recorder.ts JOB`, a job as JSON. Four devices at 200 Hz go into outputs. It writes the number of
 * accepted samples to its standard output, a line each time. Or it resumes what another one left.
 */
import { PollSource, Recorder } from "@sampleline/core"
import { Cause, Duration, Effect, Logger } from "effect"
import * as fs from "node:fs"
import { Journal } from "../src/index.ts"
import { journalIn, layerOf, type Outputs } from "./outputs.ts"

export interface Job {
  readonly does: "record" | "resume"
  /** How long it records, in seconds. Default: until it is killed. */
  readonly seconds?: number
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

const { does, folder, fsync, isSilent = false, maxBytes, mode = "create", module, names, seconds }: Job = JSON.parse(
  process.argv.at(-1)!
)
const { outputs }: { readonly outputs: Outputs } = await import(module)
const chosen = Object.fromEntries(names.map((name) => [name, outputs[name]!]))

const Devices = PollSource.layer({
  devices: ["fuel", "air", "purge", "bypass"],
  poll: (() => {
    let n = 0
    return () =>
      isSilent
        ? Effect.fail("no answer")
        : Effect.sync(() => ({ Count: n++, Flow: n / 8, Gas: n % 3 === 0 ? null : "N2" }))
  })()
})

const options = { path: journalIn(folder), maxBytes, fsync, flushInterval: "20 millis" } as const

const record = Recorder.record({
  rateHz: 200,
  duration: seconds === undefined ? undefined : Duration.seconds(seconds)
}).pipe(
  Journal.pipeToSink({ ...options, onAccepted: (samples) => fs.writeSync(1, `${samples}\n`) }),
  Effect.provide([layerOf(chosen, folder, mode), Devices])
)
const resume = Journal.resume(options).pipe(Effect.provide(layerOf(chosen, folder, "append")))

const exit = await Effect.runPromiseExit(
  Effect.provide(does === "record" ? Effect.asVoid(record) : Effect.asVoid(resume), Logger.layer([]))
)
if (exit._tag === "Failure") {
  fs.writeSync(2, `${Cause.hasDies(exit.cause) ? "defect: " : ""}${Cause.pretty(exit.cause)}`)
  process.exitCode = 1
}

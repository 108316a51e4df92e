/**
 * A recorder that is watched: `node outageRecorder.ts JOB`, a job as JSON. Three devices at 100 Hz go into a CSV and into the outputs
 * that are disturbed. It writes how far it is to its standard output, ten times a second, a line of JSON each time. SIGTERM ends the
 * recording, and SIGINT interrupts it. Or it resumes what another one left.
 */
import { PollSource, Recorder, SampleSink } from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks"
import { Cause, Effect, Layer, Logger, Schedule } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Journal } from "../src/index.ts"
import { type FileName, layerOf, type TableName } from "./outageOutputs.ts"
import { journalIn } from "./outputs.ts"

export interface Job {
  readonly does: "record" | "resume"
  /** Of the CSV and the journal. */
  readonly folder: string
  /** Those that are disturbed. The server of tables stands in the environment. */
  readonly outputs: ReadonlyArray<FileName | TableName>
  /** A folder that only this process sees: it is copied before the process ends. */
  readonly disk: string | null
}

/** How far a recorder is. */
export interface State {
  /** Samples. */
  readonly accepted: number
  /** Samples and events that the disturbed output that is farthest behind lacks. */
  readonly behind: number
  readonly residentMiB: number
}

/** The folder of the outputs that are disturbed. */
export const disturbedIn = (folder: string): string => path.join(folder, "disturbed")

/** Where the disk of a recorder is when it has ended. */
export const copyOf = (disk: string): string => `${disk}-copy`

const RATE_HZ = 100
const DEVICES = ["fuel", "air", "purge"]
export const ROWS_PER_SECOND = RATE_HZ * DEVICES.length
/** The default of `flushInterval`. */
export const FLUSH_SECONDS = 1

const Devices = PollSource.layer({
  devices: DEVICES,
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++, Flow: n / 8, Gas: n % 3 === 0 ? null : "N2" }))
  })()
})

const main = ({ disk, does, folder, outputs }: Job) => {
  const mode = does === "record" ? "create" : "append"
  const status = new Journal.JournalStatus()
  let accepted = 0
  const options = { path: journalIn(folder), status }
  const sinks = Layer.provide(
    SampleSink.layerAll([
      CsvSink.layer({ path: path.join(folder, "run.csv"), mode, rowIds: true }),
      ...outputs.map((name) => layerOf(name, disturbedIn(folder), mode))
    ]),
    Logger.layer([])
  )
  const record = Recorder.record({ rateHz: RATE_HZ }).pipe(
    Journal.pipeToSink({ ...options, onAccepted: (samples) => accepted = samples }),
    Recorder.endWhen(Effect.callback<string>((resume) => {
      process.once("SIGTERM", (signal) => resume(Effect.succeed(signal)))
    })),
    Effect.provide(Devices)
  )
  const tell = Effect.sync(() => {
    const [, ...others] = status.outputs
    const state: State = {
      accepted,
      behind: Math.max(0, ...others.map(({ behind }) => behind)),
      residentMiB: process.memoryUsage.rss() / 2 ** 20
    }
    fs.writeSync(1, `${JSON.stringify(state)}\n`)
  })
  const use = does === "record" ? Effect.asVoid(record) : Effect.asVoid(Journal.resume(options))
  const fiber = use.pipe(
    Effect.provide(sinks),
    Effect.raceFirst(Effect.repeat(tell, Schedule.spaced("100 millis"))),
    Effect.onExit(() => tell),
    Effect.provide(Logger.layer([])),
    Effect.runFork
  )
  process.once("SIGINT", () => fiber.interruptUnsafe())
  fiber.addObserver((exit) => {
    if (disk !== null) fs.cpSync(disk, copyOf(disk), { recursive: true })
    if (exit._tag === "Failure") {
      fs.writeSync(2, `${Cause.hasDies(exit.cause) ? "defect: " : ""}${Cause.pretty(exit.cause)}`)
    }
    // As the command does.
    process.exit(exit._tag === "Failure" ? 1 : 0)
  })
}

if (import.meta.main) main(JSON.parse(process.argv.at(-1)!))

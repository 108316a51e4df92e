/**
 * A recording that keeps its samples in memory only: `node soakMemory.ts JOB`, a job as JSON. It prints its summary as JSON.
 */
import { Alicat } from "@sampleline/alicat"
import { MemorySink, pipeToSink, Recorder } from "@sampleline/core"
import { Console, Duration, Effect } from "effect"
import type { SimulatedDevice } from "./simulator.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

export interface MemoryJob {
  readonly devices: ReadonlyArray<SimulatedDevice>
  readonly rateHz: number
  readonly seconds: number
}

const { devices, rateHz, seconds }: MemoryJob = JSON.parse(process.argv[2]!)

await Recorder.record({ rateHz, duration: Duration.seconds(seconds) }).pipe(
  pipeToSink(),
  Effect.flatMap((summary) => Console.log(JSON.stringify(summary))),
  Effect.provide([
    MemorySink.layer,
    Alicat.layer({ devices: Object.fromEntries(devices.map(({ name, port, unit }) => [name, { port, unit }])) })
  ]),
  Effect.provide(warningsOnStderr),
  Effect.runPromise
)

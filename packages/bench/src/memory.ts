/**
 * How much memory a long recording takes: ten million samples, made on demand, go through `pipeToSink` into a CSV file. Prints
 * the resident memory after each tenth of them, and the growth from the first to the last.
 *
 *     npm run bench:memory -- --samples 10000000
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { pipeToSink, type Tick } from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks"
import { Console, Effect, FileSystem, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { freshTicks } from "./samples.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

const memory = Command.make("bench:memory", {
  samples: Flag.Int("samples").pipe(
    Flag.filter((value) => value > 0 && value % 10 === 0, (value) => `a multiple of 10 above 0, not ${value}`),
    Flag.withDescription("How many samples (default: ten million)"),
    Flag.withDefault(10_000_000)
  )
}, ({ samples }) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const folder = yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
    const residents: Array<number> = []
    const observe = (tick: Tick) => {
      if ((tick.index + 1) % (samples / 10) === 0) residents.push(process.memoryUsage.rss() / 2 ** 20)
      return tick
    }
    yield* freshTicks(7, samples).pipe(
      Stream.map(observe),
      pipeToSink(),
      Effect.provide(CsvSink.layer({ path: `${folder}/run.csv` }))
    )
    const growth = residents.at(-1)! - residents[0]!
    yield* Console.log(
      `RSS after each tenth of the samples, MiB: ${
        residents.map((value) => value.toFixed(0)).join(" ")
      }\ngrowth from the first to the last: ${growth.toFixed(1)} MiB`
    )
  }).pipe(Effect.scoped, Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure how much memory a long recording takes")
  )

Command.run(memory, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)

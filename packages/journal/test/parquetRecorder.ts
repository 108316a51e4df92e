/**
 * A recorder of a Parquet file that is killed: `node parquetRecorder.ts FOLDER record|resume|plain`. Four devices at 200 Hz go into it, in row
 * groups of 100 rows. `plain` has no journal. It writes the number of accepted samples to its standard output, a line each time.
 */
import { pipeToSink, PollSource, Recorder } from "@sampleline/core"
import { ParquetSink } from "@sampleline/sinks"
import { Effect, Layer, Logger, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Journal } from "../src/index.ts"
import { journalIn } from "./outputs.ts"

export const parquetIn = (folder: string, mode: "create" | "append") =>
  Layer.provide(
    ParquetSink.layer({ path: path.join(folder, "run.parquet"), mode, rowIds: true, rowGroupSize: 100 }),
    Logger.layer([])
  )

const Devices = PollSource.layer({
  devices: ["fuel", "air", "purge", "bypass"],
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++, Flow: n / 8, Gas: n % 3 === 0 ? null : "N2" }))
  })()
})

const onAccepted = (samples: number) => fs.writeSync(1, `${samples}\n`)
/** As many on a busy machine, which skips slots. */
const ticks = Stream.take(Recorder.record({ rateHz: 200 }), 300)

if (import.meta.main) {
  const [folder = ".", what] = process.argv.slice(2)
  const options = { path: journalIn(folder), flushInterval: "20 millis" } as const
  await (what === "resume"
    ? Effect.provide(Effect.asVoid(Journal.resume(options)), parquetIn(folder, "append"))
    : ticks.pipe(
      what === "plain"
        ? pipeToSink({ batchSize: 8 })
        : Journal.pipeToSink({ ...options, onAccepted }),
      Effect.asVoid,
      Effect.provide([parquetIn(folder, "create"), Devices])
    )).pipe(Effect.runPromise)
}

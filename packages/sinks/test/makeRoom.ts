/**
 * Fills the disk under a Parquet file while it is recorded, and makes room again before it is closed. The last line of its output
 * says how many samples were accepted. Run in a process of its own, on a small disk: `node makeRoom.ts PATH`.
 */
import { type Sample, SampleSink } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { ParquetSink } from "../src/ParquetSink.ts"
import { samplesFrom } from "./samples.ts"

const path = process.argv.at(-1)!
const ballast = `${path}.ballast`
const ROW_GROUP = 500

const fillDisk = () => {
  const fd = fs.openSync(ballast, "w")
  try {
    while (true) fs.writeSync(fd, Buffer.alloc(4096))
  } catch {
    fs.closeSync(fd)
  }
}

let accepted = 0

const program = Effect.gen(function*() {
  const sink = yield* SampleSink
  const write = (start: number, samples: number) =>
    Effect.map(sink.write(samplesFrom(start, samples) as unknown as [Sample]), () => accepted += samples)
  yield* write(0, ROW_GROUP)
  while (fs.statSync(`${path}.partial`).size === 0) yield* Effect.sleep(10)
  yield* Effect.sync(fillDisk)
  yield* Effect.exit(write(ROW_GROUP, ROW_GROUP))
  yield* Effect.exit(write(2 * ROW_GROUP, 10))
  // In this time the encoder finds that there is no room.
  yield* Effect.sleep(200)
  yield* Effect.sync(() => fs.rmSync(ballast))
})

Effect.runFork(
  program.pipe(
    Effect.provide(ParquetSink.layer({ path, rowGroupSize: ROW_GROUP, compression: "none", dictionary: false })),
    Effect.exit,
    Effect.andThen(Effect.sync(() => process.stdout.write(`\n${accepted}`)))
  )
)

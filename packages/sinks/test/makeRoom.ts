/**
 * Fills the disk under a Parquet file while it is recorded, and makes room again before it is closed. The last line of its output
 * says how many samples were accepted. Run in a process of its own, on a small disk: `node makeRoom.ts [journal] PATH`. With
 * `journal` the samples are written as a journal does it: those that were not accepted come again.
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

const ALL = 2500

/** Writes everything, opens the output again after each failure, and makes room after the first. */
const asJournal = Effect.gen(function*() {
  const { resumable } = yield* SampleSink
  const keep = () => Effect.void
  let through = 0
  const writeAll = Effect.gen(function*() {
    through = (yield* resumable!.open({ journal: "journal-1", place: null, first: null })).through
    while (through < ALL) {
      if (through === 2 * ROW_GROUP && !fs.existsSync(ballast) && accepted === 0) fillDisk()
      yield* resumable!.writeAt(samplesFrom(through, 50) as unknown as [Sample], through + 50, keep)
      through += 50
    }
  })
  yield* Effect.retry(writeAll, {
    times: 20,
    while: (error) => {
      accepted++
      fs.rmSync(ballast, { force: true })
      return "isRetryable" in error && error.isRetryable
    }
  })
  const failures = accepted
  yield* resumable!.finish(ALL)
  accepted = failures > 0 ? (yield* SampleSink).report()[0]!.rows : -1
})

Effect.runFork(
  (process.argv[2] === "journal" ? asJournal : program).pipe(
    Effect.provide(ParquetSink.layer({ path, rowGroupSize: ROW_GROUP, compression: "none", dictionary: false })),
    Effect.exit,
    Effect.andThen(Effect.sync(() => process.stdout.write(`\n${accepted}`)))
  )
)

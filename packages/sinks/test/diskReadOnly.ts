/**
 * Lets a disk become one that can only be read while a journal writes to files on it, and brings it back. Run by root, with mounts
 * of its own: `unshare -m node diskReadOnly.ts FOLDER`. In the end the files are in the folder, and the last line of the output says
 * why each output failed meanwhile.
 */
import { messageOf, type RunEvent, type Sample, type SinkPlace, type SinkShape } from "@sampleline/core"
import { Effect, Logger } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { samplesFrom } from "./samples.ts"
import { nonEmpty } from "./writing.ts"

const shell = (command: string, ...values: ReadonlyArray<string>) =>
  execFileSync("sh", ["-e", "-c", command, "sh", ...values], { stdio: ["ignore", "ignore", "inherit"] })

const folder = process.argv.at(-1)!
const [image, disk] = [nodePath.join(folder, "image"), nodePath.join(folder, "disk")]
const pathOf = (name: string) => nodePath.join(disk, name)

shell("truncate -s 16M $1; mkfs.ext4 -q -O ^has_journal $1; mkdir $2; mount -o loop $1 $2", image, disk)

/** What the kernel does after an error of the disk. */
const makeReadOnly = () => shell("sync -f $1; mount -o remount,abort $1", disk)
const bringBack = () => shell("umount -l $2; cp $1 $1.back; mount -o loop $1.back $2", image, disk)

const keep = () => Effect.void
const mark: RunEvent = { _tag: "Marker", runId: samplesFrom(0, 1)[0]!.run.id, at: 1_772_366_400_000_000, text: "begun" }
/** The mark and nine samples. */
const ITEMS: ReadonlyArray<Sample | RunEvent> = [mark, ...samplesFrom(0, 9)]

/** Writes everything up to a position, as a drain does from the beginning or after a failure. */
const writeUpTo = Effect.fnUntraced(function*({ resumable }: SinkShape, place: SinkPlace | null, end: number) {
  const { through } = yield* resumable!.open({ journal: "journal-1", place, first: null })
  const written = yield* resumable!.writeAt(nonEmpty(ITEMS.slice(through, end)), end, keep)
  yield* resumable!.sync
  return written
})

const complete = Effect.fnUntraced(function*(sink: SinkShape, place: SinkPlace) {
  yield* writeUpTo(sink, place, ITEMS.length)
  yield* sink.resumable!.finish(ITEMS.length)
})

const program = Effect.gen(function*() {
  const sinks: ReadonlyArray<SinkShape> = [
    yield* CsvSink.make({ path: pathOf("run.csv") }),
    yield* JsonlSink.make({ path: pathOf("run.jsonl") }),
    yield* SqliteSink.make({ path: pathOf("run.db") }),
    // It has no row group before the disk can only be read.
    yield* ParquetSink.make({ path: pathOf("run.parquet"), rowGroupSize: 100 })
  ]
  const places = yield* Effect.forEach(sinks, (sink) => writeUpTo(sink, null, 5))
  makeReadOnly()
  const failures = yield* Effect.forEach(sinks, (sink, n) =>
    Effect.replicateEffect(
      Effect.map(Effect.flip(complete(sink, places[n]!)), (error) => "reason" in error ? error.reason : error.message),
      3
    ))
  bringBack()
  yield* Effect.forEach(sinks, (sink, n) => complete(sink, places[n]!))
  return Object.fromEntries(sinks.map(({ name }, n) => [name, failures[n]]))
})

Effect.runPromise(Effect.provide(Effect.scoped(program), Logger.layer([]))).then(
  (found) => {
    fs.cpSync(disk, folder, { recursive: true })
    process.stdout.write(`\n${JSON.stringify(found)}`)
  },
  (error: unknown) => process.stdout.write(`\n${JSON.stringify(messageOf(error))}`)
)

/**
 * Text files that a journal writes: what happens when they are moved away, or when their disk is.
 */
import { assert, describe, it } from "@effect/vitest"
import type { SinkPlace } from "@sampleline/core"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileURLToPath } from "node:url"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { failingCall } from "./failingCall.ts"
import { canMountDisk } from "./fullDisk.ts"
import { samplesFrom } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { flowsIn } from "./textReaders.ts"
import { nonEmpty } from "./writing.ts"

const keep = () => Effect.void
const valuesUpTo = (count: number) => Array.from({ length: count }, (_, n) => n / 4)

const batch = (start: number, count: number) => nonEmpty(samplesFrom(start, count))

/** Each makes one sink that goes on behind a place. */
const goOn = {
  csv: (path: string, place: SinkPlace | null) => opened(CsvSink.make({ path, mode: "append" }), place),
  jsonl: (path: string, place: SinkPlace | null) => opened(JsonlSink.make({ path, mode: "append" }), place)
}

const opened = Effect.fnUntraced(function*<E, R>(
  make: Effect.Effect<CsvSink["Service"] | JsonlSink["Service"], E, R>,
  place: SinkPlace | null
) {
  const { resumable } = yield* make
  const first = batch(0, 1)
  return { to: resumable!, place: yield* resumable!.open({ journal: "journal-1", place, first }) }
})

describe.each(["csv", "jsonl"] as const)("a %s file that a journal writes", (name) => {
  const open = goOn[name]

  it.live("goes on in a new file when it was moved away, without the rows that the old file has behind the last place", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(`run.${name}`)
      const moved = nodePath.join(nodePath.dirname(path), "moved")
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* open(path, null)
        const place = yield* to.writeAt(batch(0, 5), 5, keep)
        yield* to.writeAt(batch(5, 5), 10, keep)
        return place
      }))
      // The last record is cut off.
      fs.truncateSync(path, fs.statSync(path).size - 3)
      fs.renameSync(path, moved)
      const { to } = yield* open(path, place)
      yield* to.writeAt(batch(5, 10), 15, keep)
      assert.deepStrictEqual([...flowsIn(moved), ...flowsIn(path)], valuesUpTo(15))
      if (name === "csv") assert.isTrue(fs.readFileSync(path, "utf8").startsWith("device,"))
    }))

  it.live("is refused when it is gone, and goes on when it is back", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(`run.${name}`)
      const away = yield* tempFile("away")
      const place = yield* Effect.scoped(Effect.flatMap(open(path, null), ({ to }) => to.writeAt(batch(0, 5), 5, keep)))
      fs.renameSync(path, away)
      const error = yield* Effect.flip(Effect.scoped(open(path, place)))
      assert.include(error.message, "is gone, and no file in its folder holds what was written to it. Move it back")
      fs.renameSync(away, path)
      const { to } = yield* open(path, place)
      yield* to.writeAt(batch(5, 5), 10, keep)
      assert.deepStrictEqual(flowsIn(path), valuesUpTo(10))
    }))

  it.live.each(["EIO", "ENODEV", "ESTALE", "EROFS"])(
    "is opened again by its name after %s, and goes on",
    (code) =>
      Effect.gen(function*() {
        const path = yield* tempFile(`run.${name}`)
        const { to } = yield* open(path, null)
        const place = yield* to.writeAt(batch(0, 5), 5, keep)
        const error = yield* Effect.scoped(
          Effect.andThen(failingCall("writeSync", code), Effect.flip(to.writeAt(batch(5, 5), 10, keep)))
        )
        assert.isTrue(error._tag === "SinkWriteError" && error.isRetryable)
        // The disk has lost what was not forced to it.
        const disk = fs.readFileSync(path)
        fs.rmSync(path)
        fs.writeFileSync(path, disk)
        yield* to.open({ journal: "journal-1", place, first: null })
        yield* to.writeAt(batch(5, 5), 10, keep)
        assert.deepStrictEqual(flowsIn(path), valuesUpTo(10))
      })
  )

  it.live("writes again what it could not force to disk", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(`run.${name}`)
      const { place, to } = yield* open(path, null)
      yield* to.writeAt(batch(0, 5), 5, keep)
      const error = yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
      assert.isTrue(error._tag === "SinkWriteError" && error.isRetryable)
      yield* to.open({ journal: "journal-1", place, first: null })
      const before = fs.statSync(path, { bigint: true }).mtimeNs
      yield* to.writeAt(batch(0, 5), 5, keep)
      assert.isAbove(Number(fs.statSync(path, { bigint: true }).mtimeNs - before), 0)
      yield* to.sync
      assert.deepStrictEqual(flowsIn(path), valuesUpTo(5))
    }))

  it.live.runIf(canMountDisk && name === "csv")(
    "waits for a disk that is away, makes no file where it was, and goes on when it is back",
    () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const away = fileURLToPath(new URL("diskAway.ts", import.meta.url))
        const output = execFileSync("unshare", ["-rm", process.execPath, away, path]).toString()
        assert.deepStrictEqual(JSON.parse(output.split("\n").at(-1)!), {
          whileAway: ["ConnectionLost", []],
          rows: valuesUpTo(10)
        })
      })
  )
})

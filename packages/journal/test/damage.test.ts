/**
 * Journals whose files are damaged, in every region of every file: what is read is what was written, what is lost is known, or the
 * journal is refused.
 */
import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type Run, Sample } from "@sampleline/core"
import { Array, Cause, Duration, Effect, Exit, Logger, Random, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Item } from "../src/Packing.ts"
import * as Store from "../src/Store.ts"
import { pathIn } from "./folder.ts"

const format = FrameFormat.fromRecord({ Flow: 1, Gas: "N2" })
const run: Run = { id: "run-1", startedAt: 5, rateHz: 10, host: "rig", metadata: {}, devices: [] }

const itemAt = (position: number): Item =>
  new Sample({
    run,
    device: position % 2 === 0 ? "fuel" : "air",
    unitId: "A",
    sequence: position,
    tick: position,
    requestedAt: position,
    receivedAt: position + 1,
    requestedMonotonicNanos: 0,
    receivedMonotonicNanos: 1,
    frame: { format, values: [position / 2, `gas ${position}`], status: [] }
  })

const options = (path: string): Store.StoreOptions => ({
  path,
  fsync: "interval",
  segmentBytes: 10_000,
  diskWait: Duration.millis(1),
  maxBytes: 2 ** 30,
  whenFull: "stop"
})

const COUNT = 600

/** A journal of several segments, as a killed recorder leaves it: with logs beside the databases. */
const leave = Effect.fnUntraced(function*(folder: string) {
  const store = yield* Store.create(options(`${folder}.open`), { id: "journal-1", settings: "{}" })
  for (let from = 0; from < COUNT; from += 10) yield* store.append(Array.makeBy(10, (n) => itemAt(from + n)))
  yield* store.keep("csv", { place: { through: 40, token: "forty" }, first: null })
  fs.cpSync(`${folder}.open`, folder, { recursive: true })
}, Effect.scoped)

/** What a drain gets from a journal: items by their positions. */
const readAll = (folder: string) =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* Store.open(options(folder))
    const items = new Map<number, Item>()
    yield* store.seal
    for (let at = 0; at < store.end();) {
      const found = yield* Stream.runCollect(store.read(at))
      for (const item of found) items.set(at++, item)
      at = yield* store.nextFrom(at)
    }
    return { end: store.end(), id: store.id, kept: store.kept("csv"), items }
  }))

const flip = (file: string, at: number, bits = 1) => {
  const bytes = fs.readFileSync(file)
  bytes[at]! ^= bits
  fs.writeFileSync(file, bytes)
}

const damages: { readonly [what: string]: (file: string, at: number) => void } = {
  "a bit flipped": (file, at) => flip(file, at, 1 << (at % 8)),
  "a byte flipped": (file, at) => flip(file, at, 0xff),
  "a block of zeros": (file, at) => {
    const bytes = fs.readFileSync(file)
    fs.writeFileSync(file, bytes.fill(0, at, Math.min(bytes.length, at + 512)))
  },
  "cut": (file, at) => fs.truncateSync(file, at)
}

/** Damages a copy, and says what is read. */
const reading = Effect.fnUntraced(function*(whole: string, change: (folder: string) => void) {
  const copy = `${whole}.copy`
  fs.rmSync(copy, { recursive: true, force: true })
  fs.cpSync(whole, copy, { recursive: true })
  change(copy)
  const told: Array<string> = []
  const logger = Logger.make(({ message }) => void told.push(String(message)))
  const exit = yield* Effect.exit(readAll(copy)).pipe(Effect.provide(Logger.layer([logger])))
  if (Exit.isFailure(exit)) return Cause.hasDies(exit.cause) ? Cause.pretty(exit.cause) : "refused"
  const { end, id, items, kept } = exit.value
  if (id !== "journal-1" || (kept.place !== null && kept.place.token !== "forty")) return "another description"
  for (const [position, item] of items) {
    const expected = itemAt(position)
    if (!(item instanceof Sample) || !(expected instanceof Sample)) return `another item at ${position}`
    if (JSON.stringify(item) !== JSON.stringify(expected)) return `a wrong value at ${position}`
  }
  if (end === COUNT) return items.size === COUNT ? "whole" : "some lost, told"
  return told.some((message) => message.includes("lost")) ? "end lost, told" : `ends at ${end}`
})

/** What may be found. A log that is cut looks like that of a crash before the rest was written. */
const isHonest = (found: string, what: string): boolean =>
  ["refused", "whole", "some lost, told", "end lost, told"].includes(found)
  || (what === "cut" && found.startsWith("ends at"))

describe("a damaged journal", () => {
  it.live("gives no wrong value, and tells what is lost, whatever bytes are wrong", () =>
    Effect.gen(function*() {
      const whole = yield* pathIn("run.journal")
      yield* leave(whole)
      const files = fs.readdirSync(whole).filter((name) =>
        /\.db(-wal)?$/.test(name) && fs.statSync(path.join(whole, name)).size > 0
      )
      const below = (bound: number) => Random.nextIntBetween(0, bound, { halfOpen: true })
      for (let n = 0; n < 250; n++) {
        const file = files[yield* below(files.length)]!
        const what = Object.keys(damages)[yield* below(4)]!
        const { size } = fs.statSync(path.join(whole, file))
        // The first pages say what the others are.
        const at = yield* below((yield* Random.nextBoolean) ? Math.min(size, 2048) : size)
        const found = yield* reading(whole, (folder) => damages[what]!(path.join(folder, file), at))
        assert.isTrue(isHonest(found, what), `${file}, ${what} at ${at}: ${found}`)
      }
    }).pipe(Random.withSeed(7), Effect.scoped))

  it.live("is whole if its recorder was killed between the two writes of a frame, over bytes from before the log began anew", () =>
    Effect.gen(function*() {
      const whole = yield* pathIn("run.journal")
      const log = path.join(whole, `${SEGMENT(0)}-wal`)
      const FRAME = 24 + 1024
      const counts = yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* Store.create({ ...options(`${whole}.open`), segmentBytes: 1e9 }, {
          id: "journal-1",
          settings: "{}"
        })
        const openLog = path.join(`${whole}.open`, `${SEGMENT(0)}-wal`)
        let appended = 0
        const append = Effect.suspend(() => store.append(Array.makeBy(10, () => itemAt(appended++))))
        const frames = () => framesOf(fs.readFileSync(openLog), FRAME)
        // Until the log has begun anew, and is a part of what it was.
        yield* append
        for (let before = 0; frames() >= before; yield* append) before = frames()
        while (frames() < 10) yield* append
        fs.cpSync(`${whole}.open`, whole, { recursive: true })
        const kept = appended
        yield* append
        const later = fs.readFileSync(openLog)
        const last = framesOf(later, FRAME) - 1
        const torn = fs.readFileSync(log)
        later.copy(torn, 32, 32, 32 + last * FRAME + 24)
        fs.writeFileSync(log, torn)
        return { kept, size: torn.length, end: 32 + (last + 1) * FRAME }
      }))
      assert.isAtLeast(counts.size, counts.end)
      const told: Array<string> = []
      const logger = Logger.make(({ message }) => void told.push(String(message)))
      const { end, items } = yield* Effect.provide(readAll(whole), Logger.layer([logger]))
      assert.deepStrictEqual([end, items.size], [counts.kept, counts.kept])
      assert.match(
        told.join("\n"),
        /its last append is not whole. It was not accepted if the recorder was killed in it/
      )
    }).pipe(Effect.scoped))

  const missing = (name: RegExp) => (folder: string) => {
    for (const file of fs.readdirSync(folder).filter((file) => name.test(file))) fs.rmSync(path.join(folder, file))
  }
  const cases: { readonly [what: string]: readonly [change: (folder: string) => void, found: string] } = {
    "nothing wrong": [() => {}, "whole"],
    "no ledger": [missing(/^journal\.db/), "refused"],
    "no first segment": [missing(/^segment-0+\.db/), "some lost, told"],
    "no segment": [missing(/^segment-/), "refused"],
    "no segment in the middle": [missing(/^segment-0+240\.db/), "some lost, told"],
    "a segment that is another one": [
      (folder) => fs.copyFileSync(path.join(folder, SEGMENT(120)), path.join(folder, SEGMENT(240))),
      "some lost, told"
    ],
    "a text file for a segment": [(folder) => fs.writeFileSync(path.join(folder, SEGMENT(240)), "a text"), "refused"]
  }
  for (const [what, [change, expected]] of Object.entries(cases)) {
    it.live(`with ${what}: ${expected}`, () =>
      Effect.gen(function*() {
        const whole = yield* pathIn("run.journal")
        yield* leave(whole)
        assert.strictEqual(yield* reading(whole, change), expected)
      }).pipe(Effect.scoped))
  }
})

const SEGMENT = (first: number) => `segment-${String(first).padStart(16, "0")}.db`

/** The number of frames of a log since it began anew. */
const framesOf = (log: Buffer, frame: number): number => {
  let frames = 0
  const salts = log.subarray(16, 24)
  while (log.subarray(32 + frames * frame + 8, 32 + frames * frame + 16).equals(salts)) frames++
  return frames
}

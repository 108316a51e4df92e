import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type Run, Sample } from "@sampleline/core"
import { Array, Duration, Effect, Fiber, Logger, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { DatabaseSync } from "node:sqlite"
import { asNobody } from "../../core/test/asNobody.ts"
import { logged } from "../../sinks/test/writing.ts"
import * as Journal from "../src/Journal.ts"
import type { JournalError } from "../src/JournalError.ts"
import type { Item } from "../src/Packing.ts"
import * as Store from "../src/Store.ts"
import { pathIn } from "./folder.ts"

const run: Run = {
  id: "run-1",
  startedAt: 5,
  rateHz: 10,
  host: "rig",
  metadata: { operator: "Ada" },
  devices: [{
    name: "fuel",
    unitId: "A",
    identity: null,
    format: FrameFormat.fromRecord({ Flow: 1 }, { units: { Flow: "SLPM" } })
  }]
}
const format = run.devices[0]!.format!

const sampleAt = (sequence: number) =>
  new Sample({
    run,
    device: "fuel",
    unitId: "A",
    sequence,
    tick: sequence,
    requestedAt: sequence,
    receivedAt: sequence + 1,
    requestedMonotonicNanos: 0,
    receivedMonotonicNanos: 1,
    frame: { format, values: [sequence / 2], status: [] }
  })

const samples = (from: number, count: number) => Array.makeBy(count, (n): Item => sampleAt(from + n))

const options = (path: string, segmentBytes = 1 << 24): Store.StoreOptions => ({
  path,
  fsync: "interval",
  segmentBytes,
  diskWait: Duration.millis(200),
  maxBytes: 2 ** 30,
  whenFull: "stop"
})
const made = { id: "journal-1", settings: "{}" }

/** Closes a store as a program that ends does. */
const used = <A, E>(
  open: Effect.Effect<Store.Store, JournalError, Scope.Scope>,
  use: (store: Store.Store) => Effect.Effect<A, E>
) => Effect.scoped(Effect.flatMap(open, use))

const readAll = (store: Store.Store, from: number) => Effect.andThen(store.seal, Stream.runCollect(store.read(from)))

const sequencesOf = (items: ReadonlyArray<Item>) =>
  items.map((item) => item instanceof Sample ? item.sequence : item._tag)

const segmentsIn = (path: string) => fs.readdirSync(path).filter((name) => /^segment-\d+\.db$/.test(name))

describe("Store", () => {
  it.live("gives items from any position, as they were, after it was closed and opened again", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(
        Store.create(options(path), made),
        (store) => Effect.forEach([0, 10, 20], (from) => store.append(samples(from, 10)))
      )
      const { id, items, settings, stored } = yield* used(
        Store.open(options(path)),
        (store) =>
          Effect.map(
            readAll(store, 7),
            (items) => ({ id: store.id, items, settings: store.settings, stored: store.run() })
          )
      )
      assert.deepStrictEqual(sequencesOf(items), sequencesOf(samples(7, 23)))
      const [first] = items
      assert(first instanceof Sample)
      assert.deepStrictEqual(first.frame.values, [3.5])
      assert.deepStrictEqual(first.frame.format.fields, format.fields)
      assert.strictEqual(first.run, stored)
      assert.deepStrictEqual(stored, run)
      assert.deepStrictEqual([id, settings], ["journal-1", "{}"])
    }).pipe(Effect.scoped))

  it.live("reads what is no longer in memory from disk, over many segments, and removes those that nobody needs", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(options(path, 100_000), made), (store) =>
        Effect.gen(function*() {
          for (let from = 0; from < 50_000; from += 500) yield* store.append(samples(from, 500))
          assert.isAbove(segmentsIn(path).length, 10)
          yield* store.forget(20_000)
          const first = Number(/\d+/.exec(segmentsIn(path).toSorted()[0]!)?.[0])
          assert.isAtMost(first, 20_000)
          assert.isAbove(first, 15_000)
          const items = yield* readAll(store, 20_000)
          assert.deepStrictEqual(sequencesOf(items), sequencesOf(samples(20_000, 30_000)))
        }))
    }).pipe(Effect.scoped))

  it.live("gives items that are appended meanwhile, and ends when it is sealed", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(options(path), made), (store) =>
        Effect.gen(function*() {
          yield* store.append(samples(0, 3))
          const reading = yield* Effect.forkChild(Stream.runCollect(store.read(1)), { startImmediately: true })
          yield* store.append(samples(3, 2))
          yield* store.seal
          assert.deepStrictEqual(sequencesOf(yield* Fiber.join(reading)), [1, 2, 3, 4])
        }))
    }).pipe(Effect.scoped))

  it.live("gives no wrong value from a damaged append: what is whole is there, and what is lost is known", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(
        Store.create(options(path), made),
        (store) => Effect.forEach([0, 10, 20], (from) => store.append(samples(from, 10)))
      )
      const file = `${path}/${segmentsIn(path)[0]!}`
      const database = new DatabaseSync(file)
      const [row] = database.prepare("SELECT data FROM appends WHERE first = 10").all()
      const data = row!["data"] as Uint8Array
      data[100]! ^= 1
      database.prepare("UPDATE appends SET data = ? WHERE first = 10").run(data)
      database.close()
      yield* used(Store.open(options(path)), (store) =>
        Effect.gen(function*() {
          yield* store.seal
          assert.deepStrictEqual(sequencesOf(yield* Stream.runCollect(store.read(0))), sequencesOf(samples(0, 10)))
          assert.strictEqual(yield* store.nextFrom(10), 20)
          assert.deepStrictEqual(sequencesOf(yield* Stream.runCollect(store.read(20))), sequencesOf(samples(20, 10)))
        }))
    }).pipe(Effect.scoped))

  it.live("refuses a journal of another version, and one whose description is damaged", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      const change = (sql: string) => {
        const database = new DatabaseSync(`${path}/journal.db`)
        database.exec(sql)
        database.close()
      }
      yield* used(Store.create(options(path), made), () => Effect.void)
      change("UPDATE journals SET id = 'x'")
      const damaged = yield* Effect.flip(used(Store.open(options(path)), () => Effect.void))
      assert.strictEqual(damaged.reason, "Damaged")
      change("PRAGMA user_version = 99")
      const other = yield* Effect.flip(used(Store.open(options(path)), () => Effect.void))
      assert.strictEqual(other.reason, "Version")
      assert.include(other.message, "layout 99")
    }).pipe(Effect.scoped))

  it.live("is whole as far as its outputs lack it: segments that they have may be missing", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(options(path, 1000), made), (store) =>
        Effect.gen(function*() {
          for (const from of [0, 100, 200]) yield* store.append(samples(from, 100))
          yield* store.keep("csv", { place: { through: 300, token: "" }, first: null })
        }))
      const [first, second, third] = segmentsIn(path).toSorted()
      assert.isDefined(third)
      for (const removed of [first, second]) {
        fs.rmSync(`${path}/${removed}`)
        assert.strictEqual(yield* used(Store.open(options(path)), (store) => Effect.sync(store.end)), 300)
      }
      // Without the last one nobody knows what came behind.
      fs.rmSync(`${path}/${third}`)
      assert.strictEqual((yield* Effect.flip(used(Store.open(options(path)), () => Effect.void))).reason, "Damaged")
      const damages = {
        missing: () => fs.rmSync(`${path}/journal.db`),
        // As a kill in the middle of making it leaves it.
        empty: () => fs.writeFileSync(`${path}/journal.db`, "")
      }
      for (const damage of Object.values(damages)) {
        const refused = Effect.map(
          Effect.flip(used(Store.open(options(path)), () => Effect.void)),
          ({ reason }) => reason
        )
        damage()
        assert.strictEqual(yield* refused, "Missing")
        yield* used(Store.create(options(path), made), (store) => store.append(samples(0, 1)))
        damage()
        assert.strictEqual(yield* refused, "Damaged")
        fs.rmSync(path, { recursive: true })
        yield* used(Store.create(options(path), made), () => Effect.void)
      }
    }).pipe(Effect.scoped))

  it.live("is removed as empty only if it holds nothing", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(options(path), made), () => Effect.void)
      assert.isTrue(yield* Journal.removeEmpty(path))
      assert.isFalse(fs.existsSync(path))
      yield* used(Store.create(options(path), made), (store) => store.append(samples(0, 1)))
      assert.isFalse(yield* Journal.removeEmpty(path))
      assert.strictEqual((yield* Journal.inspect(path)).items, 1)
    }).pipe(Effect.scoped))

  it.live("is not needed at its end if someone has taken it away, and another one in its place is left alone", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      const finished = (meanwhile: () => void) =>
        logged(
          used(Store.create(options(path), made), (store) =>
            Effect.andThen(store.append(samples(0, 1)), Effect.andThen(Effect.sync(meanwhile), store.finish)))
        )
      const told = [
        `Warn journal ${path}: someone has removed or moved it while it was used; `
        + "its outputs have everything, so it is no longer needed"
      ]
      assert.deepStrictEqual(yield* finished(() => fs.rmSync(path, { recursive: true })), told)
      const replaced = finished(() => {
        fs.renameSync(path, `${path}-moved`)
        fs.mkdirSync(path)
        fs.writeFileSync(`${path}/journal.db`, "another one")
      })
      assert.deepStrictEqual(yield* replaced, told)
      assert.deepStrictEqual(fs.readdirSync(path), ["journal.db"])
      fs.rmSync(path, { recursive: true })
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))
      const removed = used(Store.create(options(path), made), (store) =>
        Effect.gen(function*() {
          yield* store.append(samples(0, 1))
          fs.rmSync(path, { recursive: true })
          yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => lines.length > 0 })
          yield* store.finish
        }))
      yield* Effect.provide(removed, Logger.layer([logger]))
      assert.match(lines[0]!, /^Error journal .*: someone has removed or moved it\. /)
      assert.deepStrictEqual(lines.slice(1), told)
      assert.strictEqual((yield* Journal.inspect(`${path}-moved`)).items, 1)
    }).pipe(Effect.scoped))

  it.live.runIf(process.getuid?.() === 0)(
    "is refused in one line to a user who may not read or write it",
    () =>
      Effect.gen(function*() {
        const path = yield* pathIn("a.journal")
        yield* used(Store.create(options(path), made), (store) => store.append(samples(0, 1)))
        fs.chmodSync(nodePath.dirname(path), 0o755)
        for (const mode of [0o700, 0o755]) {
          fs.chmodSync(path, mode)
          for (const use of [Effect.asVoid(Journal.inspect(path)), Effect.asVoid(Journal.removeEmpty(path))]) {
            const { message } = yield* asNobody(Effect.flip(use))
            assert.match(message, /^journal \S+: permission denied; use it as its owner, or change the permissions/)
          }
        }
      }).pipe(Effect.scoped)
  )

  it.live("stays, with a warning, if this user may not remove it any more", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("own")
      fs.chmodSync(nodePath.dirname(folder), 0o777)
      const finished = used(Store.create(options(`${folder}/a.journal`), made), (store) =>
        Effect.andThen(Effect.sync(() => fs.chmodSync(folder, 0o555)), store.finish))
      const [told] = yield* asNobody(logged(finished))
      assert.match(told!, /^Warn journal \S+: permission denied; .+; it could not be removed and stays, although/)
      fs.chmodSync(folder, 0o755)
    }).pipe(Effect.scoped))

  it.live("is refused with a plain message under a path that cannot be", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("file")
      fs.writeFileSync(file, "")
      for (
        const [path, detail] of [
          [`${file}${"x".repeat(245)}`, "its name is too long; choose a shorter one"],
          [file, "it or a part of its path is a file, not a folder; choose another path"],
          [`${file}/folder/a`, "it or a part of its path is a file, not a folder; choose another path"]
        ] as const
      ) {
        const error = yield* Effect.flip(used(Store.create(options(path), made), () => Effect.void))
        assert.strictEqual(error.message, `journal ${path}: ${detail}`)
      }
    }).pipe(Effect.scoped))

  it.live("is looked at without changing a byte, and whatever a kill has left beside its files", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(
        Store.create(options(path), made),
        (store) =>
          Effect.gen(function*() {
            yield* store.append(samples(0, 3))
            yield* store.keep("csv", { place: { through: 2, token: "t" }, first: null })
            assert.strictEqual(
              (yield* Effect.flip(Journal.peek(path))).message.includes(`process ${process.pid}`),
              true
            )
            // What a kill would leave: with logs that are not in the databases yet.
            fs.cpSync(path, `${path}-killed`, { recursive: true })
          })
      )
      const killed = `${path}-killed`
      const bytes = () =>
        fs.readdirSync(killed).toSorted().map((name) => [name, fs.readFileSync(`${killed}/${name}`).toString("base64")])
      for (const lost of ["nothing", "-shm"]) {
        for (const [name] of bytes()) if (name!.endsWith(lost)) fs.rmSync(`${killed}/${name}`)
        const before = bytes()
        const { items, outputs, run } = yield* Journal.peek(killed)
        assert.strictEqual(run?.id, sampleAt(0).run.id)
        assert.deepStrictEqual([items, outputs], [3, [{ name: "csv", behind: 1 }]])
        assert.deepStrictEqual(bytes(), before)
      }
    }).pipe(Effect.scoped))

  it.live("lets one process at a time have it", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(options(path), made), () =>
        Effect.gen(function*() {
          const script = `
            import { Duration, Effect } from "effect"
            import * as Store from ${JSON.stringify(new URL("../src/Store.ts", import.meta.url).href)}
            const options = { path: ${
            JSON.stringify(path)
          }, fsync: "interval", segmentBytes: 1e6, maxBytes: 1e9, diskWait: Duration.seconds(1) }
            const failure = await Effect.runPromise(Effect.flip(Effect.scoped(Store.open(options))))
            console.log(failure.reason, failure.message)`
          const output = yield* Effect.callback<string>((resume) => {
            const child = spawn(process.execPath, ["--input-type=module", "-e", script])
            let text = ""
            child.stdout.on("data", (data) => text += data)
            child.stderr.on("data", (data) => text += data)
            child.on("close", () => resume(Effect.succeed(text)))
          })
          assert.match(output, /^Busy/)
          assert.include(output, `process ${process.pid}`)
        }))
    }).pipe(Effect.scoped))

  it.live("stops at its bound, or drops its oldest items", () =>
    Effect.gen(function*() {
      const bounded = (path: string, whenFull: "stop" | "drop-oldest") => ({
        ...options(path, 25_000),
        maxBytes: 100_000,
        whenFull
      })
      const fill = (store: Store.Store) =>
        Effect.forEach(Array.range(0, 199), (n) => store.append(samples(n * 100, 100)), { discard: true })
      const path = yield* pathIn("a.journal")
      yield* used(Store.create(bounded(path, "stop"), made), (store) =>
        Effect.gen(function*() {
          const failure = yield* Effect.flip(fill(store))
          assert.strictEqual(failure.reason, "Full")
          const all = yield* readAll(store, 0)
          assert.deepStrictEqual(sequencesOf(all), sequencesOf(samples(0, all.length)))
          assert.isAbove(all.length, 1000)
        }))
      const other = yield* pathIn("b.journal")
      yield* used(Store.create(bounded(other, "drop-oldest"), made), (store) =>
        Effect.gen(function*() {
          yield* fill(store)
          assert.isAtMost(segmentsIn(other).length, 5)
        }))
      // Without what is still in memory.
      yield* used(Store.open(bounded(other, "drop-oldest")), (store) =>
        Effect.gen(function*() {
          const from = yield* store.nextFrom(0)
          assert.isAbove(from, 1000)
          const rest = yield* readAll(store, from)
          assert.deepStrictEqual(sequencesOf(rest), sequencesOf(samples(from, 20_000 - from)))
        }))
    }).pipe(Effect.scoped))
})

/**
 * What a power cut leaves, made by hand. `npm run power-test` cuts the power of a real file system.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Journal } from "../src/index.ts"
import { problemsOf, readAll, runUntil } from "./crash.ts"
import { pathIn } from "./folder.ts"
import { journalIn, layerOf } from "./outputs.ts"
import { outputs } from "./powerOutputs.ts"

const MODULE = new URL("powerOutputs.ts", import.meta.url).href

/** A killed recording. Gives its folder, and how many samples it had accepted at least. */
const killed = Effect.gen(function*() {
  const folder = path.dirname(yield* pathIn("run"))
  const job = { does: "record", folder, module: MODULE, names: Object.keys(outputs), maxBytes: 1e9 } as const
  const { accepted } = yield* runUntil(job, { accepted: 600 })
  return { folder, accepted }
})

/** Gives what is wrong with the outputs afterwards. */
const resume = Effect.fnUntraced(function*(folder: string, accepted: number) {
  yield* Journal.resume({ path: journalIn(folder) }).pipe(
    Effect.provide([layerOf(outputs, folder, "append"), Logger.layer([])])
  )
  const contents = yield* readAll(outputs, folder)
  return contents.flatMap(({ content, name }) => problemsOf(name, content, accepted))
})

/** How many bytes of a text file and of its events are on disk for sure. */
const forcedToDisk = (folder: string, name: string): { readonly rows: number; readonly events: number } => {
  const ledger = new DatabaseSync(path.join(journalIn(folder), "journal.db"))
  const row = ledger.prepare("SELECT json FROM outputs WHERE name LIKE ?").get(`%/${name}`)
  ledger.close()
  const { events, rows } = JSON.parse(JSON.parse(String(row!["json"])).place.token)
  return { rows: rows.bytes, events: events.bytes }
}

/** The file has grown, and its last bytes have not come to the disk, as far as they were not forced. */
const leaveNuls = (file: string, forced: number): void => {
  const { size } = fs.statSync(file)
  const written = fs.readFileSync(file).subarray(0, Math.max(forced, size - 100))
  fs.writeFileSync(file, Buffer.concat([written, Buffer.alloc(400)]))
}

/** Takes the last appends from a journal. Gives how many items are left. */
const takeEnd = (journal: string, appends: number): number => {
  const name = fs.readdirSync(journal).find((name) => /^segment.*db$/.test(name))!
  const segment = new DatabaseSync(path.join(journal, name))
  segment.exec(`DELETE FROM appends WHERE first IN (SELECT first FROM appends ORDER BY first DESC LIMIT ${appends})`)
  const row = segment.prepare("SELECT first + count AS n FROM appends ORDER BY first DESC LIMIT 1").get()
  segment.close()
  return Number(row!["n"])
}

describe("a power cut", { concurrent: true }, () => {
  it.live("that leaves NULs at the ends of text files costs nothing", () =>
    Effect.gen(function*() {
      const { accepted, folder } = yield* killed
      for (const name of ["run.csv", "run.jsonl"]) {
        const { events, rows } = forcedToDisk(folder, name)
        leaveNuls(path.join(folder, name), rows)
        leaveNuls(path.join(folder, `${name}-events.jsonl`), events)
      }
      assert.deepStrictEqual(yield* resume(folder, accepted), [])
    }).pipe(Effect.scoped))

  it.live("that takes the end of a journal leaves what outputs have of it, and each gets the end of the run", () =>
    Effect.gen(function*() {
      const { accepted, folder } = yield* killed
      const left = takeEnd(journalIn(folder), 60)
      assert.isBelow(left, accepted)
      for (const name of ["run.csv", "run.jsonl"]) {
        const file = path.join(folder, `${name}-events.jsonl`)
        const [started = ""] = fs.readFileSync(file, "utf8").split("\n")
        fs.appendFileSync(file, `${started.replace("RunStarted", "DeviceFailing")}\n`)
      }
      assert.deepStrictEqual(yield* resume(folder, left - 10), [])
      const contents = yield* readAll(outputs, folder)
      assert.isTrue(contents.some(({ content }) => content.samples.length > left))
    }).pipe(Effect.scoped))

  it.live("while a journal is made leaves none", () =>
    Effect.gen(function*() {
      const journal = yield* pathIn("run.journal")
      fs.mkdirSync(journal)
      fs.writeFileSync(path.join(journal, "journal.db"), "")
      const failure = yield* Effect.flip(Journal.inspect(journal))
      assert.include(failure.message, "there is no journal")
    }).pipe(Effect.scoped))
})

/**
 * Ends its process at a point: `KILL_AT=... node --import killAt.ts recorder.ts ...`. The calls of `node:fs` and `node:sqlite` are
 * replaced by ones that count.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import sqlite from "node:sqlite"
import type { KillAt } from "./killPoints.ts"

const point: KillAt = JSON.parse(process.env["KILL_AT"]!)

const kindOf = (file: string): KillAt["on"] | null => {
  if (!file.startsWith(point.folder)) return null
  const [, inJournal] = file.split("run.journal")
  if (inJournal === undefined) return "output"
  return inJournal.includes("segment-") ? "segment" : inJournal.includes("journal.db") ? "ledger" : "journal"
}

const paths = new Map<number, string>()
let accepted = 0
let calls = 0

const isReached = (call: KillAt["call"], file: string, sql = ""): boolean =>
  call === point.call && accepted >= point.accepted && kindOf(file) === point.on && sql.startsWith(point.sql ?? "")
  && ++calls === point.nth

const kill = () => process.kill(process.pid, "SIGKILL")

const around = <A>(isReached: boolean, run: () => A): A => {
  if (isReached && point.when === "before") kill()
  const result = run()
  if (isReached) kill()
  return result
}

const { fdatasync, openSync, renameSync, rmSync, writeSync } = fs as any

Object.assign(fs, {
  openSync: (...args: ReadonlyArray<unknown>) => {
    const fd = openSync(...args)
    paths.set(fd, String(args[0]))
    return fd
  },
  writeSync: (fd: number, ...args: [bytes: Uint8Array, offset?: number, length?: number, position?: number]) => {
    if (fd === 1) accepted = Number(args[0])
    const reached = isReached("writeSync", paths.get(fd) ?? "")
    if (reached && point.when === "half") {
      const [bytes, offset = 0, length = bytes.length, position] = args
      writeSync(fd, bytes, offset, Math.floor(length / 2), position)
      kill()
    }
    return around(reached, () => writeSync(fd, ...args))
  },
  fdatasync: (fd: number, done: unknown) =>
    around(isReached("fdatasync", paths.get(fd) ?? ""), () => fdatasync(fd, done)),
  renameSync: (from: string, to: string) => around(isReached("renameSync", to), () => renameSync(from, to)),
  rmSync: (file: string, options: unknown) => around(isReached("rmSync", file), () => rmSync(file, options))
})

const { exec, prepare } = sqlite.DatabaseSync.prototype as any
const { run } = sqlite.StatementSync.prototype as any
const statements = new WeakMap<object, { readonly file: string; readonly sql: string }>()

Object.assign(sqlite.DatabaseSync.prototype, {
  exec(this: InstanceType<typeof sqlite.DatabaseSync>, sql: string) {
    return around(isReached("exec", this.location() ?? "", sql), () => exec.call(this, sql))
  },
  prepare(this: InstanceType<typeof sqlite.DatabaseSync>, sql: string) {
    const statement = prepare.call(this, sql)
    statements.set(statement, { file: this.location() ?? "", sql })
    return statement
  }
})
Object.assign(sqlite.StatementSync.prototype, {
  run(this: object, ...values: ReadonlyArray<unknown>) {
    const { file, sql } = statements.get(this)!
    return around(isReached("run", file, sql), () => run.apply(this, values))
  }
})

syncBuiltinESMExports()

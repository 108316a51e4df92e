/**
 * Ends its process at a point: `KILL_AT=... node --import killAt.ts recorder.ts ...`. Calls of `node:fs`, `node:sqlite` and sockets are
 * replaced by ones that count. Node runs this in each thread. Linux tells it the names of open files.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import net from "node:net"
import path from "node:path"
import sqlite from "node:sqlite"
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads"
import { COPIED, type KillAt } from "./killPoints.ts"

const point: KillAt = JSON.parse(process.env["KILL_AT"]!)

/** The same memory in all threads: how many samples are accepted, and how many calls were made at the point. */
const counts = isMainThread ? new Int32Array(new SharedArrayBuffer(8)) : getEnvironmentData("counts") as Int32Array
const ACCEPTED = 0
const CALLS = 1
setEnvironmentData("counts", counts)

const OUTPUTS: ReadonlyArray<readonly [RegExp, KillAt["on"]]> = [
  [/\.(csv|jsonl|json)$/, "text"],
  [/\.db(-wal)?$/, "sqlite"],
  [/\.parquet(\.partial)?$/, "parquet"],
  [/\.partial-groups$/, "groups"]
]

const kindOf = (file: string): KillAt["on"] | undefined => {
  if (!file.startsWith(point.folder)) return undefined
  const [, inJournal] = file.split("run.journal")
  if (inJournal === undefined) return OUTPUTS.find(([name]) => name.test(path.basename(file)))?.[1]
  return inJournal.includes("segment-") ? "segment" : inJournal.includes("journal.db") ? "ledger" : "journal"
}

const isReached = (call: KillAt["call"], on: KillAt["on"] | undefined, sql = ""): boolean =>
  call === point.call && counts[ACCEPTED]! >= point.accepted && on === point.on && sql.startsWith(point.sql ?? "")
  && Atomics.add(counts, CALLS, 1) + 1 === point.nth

const kill = () => process.kill(process.pid, "SIGKILL")

/** Runs a call that may be at the point. `runHalf` does half of it. */
const around = <A>(isReached: boolean, run: () => A, runHalf = () => {}): A => {
  if (!isReached) return run()
  if (point.when === "half") runHalf()
  if (point.when !== "after") kill()
  const result = run()
  kill()
  return result
}

const { fdatasync, fsyncSync, renameSync, unlinkSync, writeSync } = fs as any

const kindOfOpen = (fd: number) => kindOf(fs.readlinkSync(`/proc/self/fd/${fd}`))

Object.assign(fs, {
  writeSync: (fd: number, ...args: [bytes: Uint8Array, offset?: number, length?: number, position?: number]) => {
    if (fd === 1) counts[ACCEPTED] = Number(args[0])
    const [bytes, offset = 0, length = bytes.length - offset, position] = args
    return around(
      point.call === "writeSync" && isReached("writeSync", kindOfOpen(fd)),
      () => writeSync(fd, ...args),
      () => writeSync(fd, bytes, offset, Math.floor(length / 2), position)
    )
  },
  fsyncSync: (fd: number) => around(isReached("fsyncSync", kindOfOpen(fd)), () => fsyncSync(fd)),
  fdatasync: (fd: number, done: unknown) => around(isReached("fdatasync", kindOfOpen(fd)), () => fdatasync(fd, done)),
  renameSync: (from: string, to: string) => around(isReached("renameSync", kindOf(to)), () => renameSync(from, to)),
  unlinkSync: (file: string) =>
    around(fs.existsSync(file) && isReached("unlinkSync", kindOf(file)), () => unlinkSync(file))
})

const { rm } = fs.promises

/** Only its end is a point. */
Object.assign(fs.promises, {
  rm: (file: string, options: fs.RmOptions) => {
    const isAtPoint = isReached("rm", kindOf(file))
    return rm(file, options).then(() => around(isAtPoint, () => {}))
  }
})

const { exec, prepare } = sqlite.DatabaseSync.prototype as any
const { run } = sqlite.StatementSync.prototype as any
const statements = new WeakMap<object, { readonly file: string; readonly sql: string }>()

Object.assign(sqlite.DatabaseSync.prototype, {
  exec(this: InstanceType<typeof sqlite.DatabaseSync>, sql: string) {
    return around(isReached("exec", kindOf(this.location() ?? ""), sql), () => exec.call(this, sql))
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
    return around(isReached("run", kindOf(file), sql), () => run.apply(this, values))
  }
})

const { emit, write } = net.Socket.prototype as any

/** The messages of Postgres: a letter, their length in four bytes, and the text of a query. */
const HEADER_BYTES = 5
const isCopyData = (bytes: Uint8Array) => bytes.length === HEADER_BYTES && bytes[0] === "d".charCodeAt(0)
let isCopying = false

Object.assign(net.Socket.prototype, {
  write(this: net.Socket, bytes: Uint8Array, ...rest: ReadonlyArray<unknown>) {
    const message = isCopying ? COPIED : Buffer.from(bytes).toString("latin1", HEADER_BYTES)
    isCopying = isCopyData(bytes)
    return around(
      isReached("send", "postgres", message),
      () => write.call(this, bytes, ...rest),
      () => write.call(this, bytes.subarray(0, bytes.length >> 1))
    )
  },
  emit(this: net.Socket, event: string, ...values: ReadonlyArray<unknown>) {
    const answer = event === "data" ? Buffer.from(values[0] as Uint8Array).toString("latin1", HEADER_BYTES) : ""
    return around(event === "data" && isReached("answer", "postgres", answer), () => emit.call(this, event, ...values))
  }
})

syncBuiltinESMExports()

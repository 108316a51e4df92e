/**
 * Kills its own process at a moment in the life of a Parquet file: `KILL_AT=MOMENT:N node --import killParquetAt.ts PROGRAM`, at the Nth time.
 * Without `KILL_AT` it does nothing. Node runs it in each thread.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const [moment, times] = (process.env["KILL_AT"] ?? "").split(":")
let left = Number(times)

const kill = () => {
  if (--left === 0) process.kill(process.pid, "SIGKILL")
}

const nameOf = (fd: number): string => fs.readlinkSync(`/proc/self/fd/${fd}`)

const { renameSync, writeSync } = fs

/** Writes half of the bytes and is killed, if it is time. */
const writeHalf = (fd: number, bytes: Uint8Array, position: number) => {
  if (left === 1) writeSync(fd, bytes, 0, bytes.length >> 1, position)
  kill()
}

const before: { readonly [moment: string]: { readonly file: string; readonly run: typeof writeHalf } } = {
  "in a row group": { file: ".partial", run: writeHalf },
  "before a record": { file: ".partial-groups", run: kill },
  "in a record": { file: ".partial-groups", run: writeHalf }
}

const writing = before[moment!]
if (writing !== undefined) {
  fs.writeSync = ((fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
    if (ArrayBuffer.isView(bytes) && nameOf(fd).endsWith(writing.file)) writing.run(fd, bytes, position)
    return writeSync(fd, bytes, offset, length, position)
  }) as typeof fs.writeSync
}
if (moment === "before the rename" || moment === "behind the rename") {
  fs.renameSync = (from, to) => {
    const isNaming = String(from).endsWith(".partial")
    if (isNaming && moment === "before the rename") kill()
    renameSync(from, to)
    if (isNaming && moment === "behind the rename") kill()
  }
}
syncBuiltinESMExports()

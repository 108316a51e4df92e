/**
 * Lets the operating system take a third of the bytes of each write: `SHORT_WRITES=LOG node --import shortWrites.ts PROGRAM`. The
 * log gets the name of each file that was written so.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const log = process.env["SHORT_WRITES"]!
const { writeSync } = fs as any

const third = (fd: number, bytes: Uint8Array, offset = 0, length = bytes.length - offset) => {
  if (length > 1) fs.appendFileSync(log, `${fs.readlinkSync(`/proc/self/fd/${fd}`)}\n`)
  return [bytes, offset, Math.ceil(length / 3)] as const
}

Object.assign(fs, {
  writeSync: (fd: number, bytes: unknown, offset?: number, length?: number, position?: number) =>
    bytes instanceof Uint8Array
      ? writeSync(fd, ...third(fd, bytes, offset, length), position)
      : writeSync(fd, bytes)
})

syncBuiltinESMExports()

/**
 * Bytes at the end of a file that were written before a crash, and are written again now. They are not cut off: what is written
 * must be what is there, or someone has changed the file. Where a power cut came before the bytes were on disk, there are NULs.
 */
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { crc32 } from "node:zlib"
import { chunksOf } from "./TextContent.ts"

/** How much of a file holds what was written, and the checksum of that. */
export interface FilePlace {
  readonly bytes: number
  readonly sum: number
}

export const CHANGED =
  "someone has changed it since it was written, so it was not changed again; finish the output in another file"

export class Rewriting {
  private left: Buffer

  constructor(left: Buffer) {
    this.left = left
  }

  /** For how many of the bytes there is a place already. Throws if others are there. Write them all: they may not be on disk. */
  known(bytes: Uint8Array): number {
    const known = Math.min(bytes.length, this.left.length)
    const left = this.left.subarray(0, known)
    const isSame = left.equals(bytes.subarray(0, known)) || left.every((byte, n) => byte === 0 || byte === bytes[n])
    if (!isSame) throw new Error(CHANGED)
    return known
  }

  /** Goes on behind bytes that are all there. If they are not, there is nothing behind them either. */
  passWhole(bytes: Uint8Array): boolean {
    const isThere = bytes.length <= this.left.length && this.left.subarray(0, bytes.length).equals(bytes)
    this.pass(isThere ? bytes.length : this.left.length)
    return isThere
  }

  /** Whether bytes are left that were not written again. */
  get hasMore(): boolean {
    return this.left.length > 0
  }

  /** The bytes that were not written again. */
  get rest(): Buffer {
    return this.left
  }

  /** Goes on behind bytes that are there. */
  pass(known: number): void {
    this.left = this.left.subarray(known)
  }
}

/**
 * What a file that was moved away holds behind a place. It is searched for in the folder of its old name. Throws if it is not there.
 */
export const tailOfMoved = (path: string, place: FilePlace): Buffer => {
  const folder = nodePath.dirname(path)
  for (const name of fs.readdirSync(folder)) {
    const file = nodePath.join(folder, name)
    const stats = fs.statSync(file, { throwIfNoEntry: false })
    const tail = stats?.isFile() && stats.size >= place.bytes ? tailIn(file, place) : null
    if (tail !== null) return tail
  }
  throw new Error(
    `${path} is gone, and no file in its folder holds what was written to it. Move it back, or finish the output in another file`
  )
}

const tailIn = (file: string, place: FilePlace): Buffer | null => {
  const fd = fs.openSync(file, "r")
  try {
    return sumOf(fd, place.bytes) === place.sum ? bytesBehind(fd, place.bytes) : null
  } finally {
    fs.closeSync(fd)
  }
}

/** The checksum of a file's first bytes; null if it is shorter. */
export const sumOf = (fd: number, bytes: number): number | null => {
  if (fs.fstatSync(fd).size < bytes) return null
  let sum = 0
  for (const [chunk] of chunksOf(fd, bytes)) sum = crc32(chunk, sum)
  return sum
}

/** The bytes of a file behind a place. Throws if what is before it has changed. */
export const tailBehind = (fd: number, { bytes, sum }: FilePlace): Buffer => {
  if (sumOf(fd, bytes) !== sum) throw new Error(CHANGED)
  return bytesBehind(fd, bytes)
}

/** Nothing was written before. */
export const NOTHING: FilePlace = { bytes: 0, sum: 0 }

/** The bytes of a file from an offset on. */
export const bytesBehind = (fd: number, offset: number): Buffer => {
  const tail = Buffer.alloc(fs.fstatSync(fd).size - offset)
  fs.readSync(fd, tail, 0, tail.length, offset)
  return tail
}

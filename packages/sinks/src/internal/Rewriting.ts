/**
 * Bytes at the end of a file that were written before a crash, and are written again now. They are not cut off: what is written
 * must be what is there, or someone has changed the file. Where a power cut came before the bytes were on disk, there are NULs.
 */
import * as fs from "node:fs"
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

/** The bytes of a file from an offset on. */
export const bytesBehind = (fd: number, offset: number): Buffer => {
  const tail = Buffer.alloc(fs.fstatSync(fd).size - offset)
  fs.readSync(fd, tail, 0, tail.length, offset)
  return tail
}

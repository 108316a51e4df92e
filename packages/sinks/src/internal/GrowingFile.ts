/**
 * An open text file that grows by whole batches.
 *
 * A batch is handed to the operating system by one `write` at a known offset, synchronously: for ordinary files that is
 * several times faster than a trip through the thread pool. A batch that does not fit is removed again, so the file always
 * ends with the last accepted batch. An existing file is not changed before the first batch.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { crc32 } from "node:zlib"
import type { FirstInFile } from "./ByteOutput.ts"
import { idOf, NameWatch } from "./NameWatch.ts"
import { bytesBehind, type FilePlace, Rewriting, sumOf, tailBehind } from "./Rewriting.ts"

export class GrowingFile {
  readonly fd: number
  readonly watch: NameWatch
  /** Samples that were accepted and not forced to disk since. */
  unsynced = 0
  /** Where the last accepted batch ends. */
  end: number
  /** Its size, if no other program writes to it. Null if its size makes no difference, because it is to be overwritten. */
  size: number | null
  private isWritten = false
  /** The checksum of what it holds up to `end`; null if nobody has asked for it. */
  private sum: number | null = null
  /** What stands behind `end` because it was written before. */
  private rewriting = new Rewriting(Buffer.alloc(0))
  private lastPlace: FilePlace | undefined

  constructor(path: string, fd: number, size: number) {
    this.fd = fd
    this.watch = new NameWatch(path, idOf(fd))
    this.end = size
    this.size = size
  }

  /** Writes all the bytes, or throws and writes none. */
  write(bytes: Uint8Array, samples: number): FirstInFile {
    const { end, fd, isWritten } = this
    if (this.size !== null && fs.fstatSync(fd).size !== this.size) {
      throw new Error("another program has written to it; record to a file that no other program writes to")
    }
    const known = this.rewriting.known(bytes)
    // All of them: a failed sync is reported only once.
    this.put(end, bytes, end + known)
    this.rewriting.pass(known)
    if (this.sum !== null) this.sum = crc32(bytes, this.sum)
    this.end += bytes.length
    this.isWritten = true
    this.unsynced += samples
    this.watch.unseen += samples
    return isWritten ? null : { isAppended: end > 0 }
  }

  /** Writes all the bytes, of which those before `behind` are there, or throws and leaves the file as it was up to `behind`. */
  private put(from: number, bytes: Uint8Array, behind: number): void {
    const to = from + bytes.length
    if (to > behind && this.size !== behind) this.cut(behind)
    let written = 0
    try {
      while (written < bytes.length) {
        written += fs.writeSync(this.fd, bytes, written, bytes.length - written, from + written)
      }
    } catch (error) {
      if (to > behind) this.cut(behind)
      throw error
    }
    this.size = Math.max(this.size ?? 0, to)
  }

  private cut(size: number): void {
    fs.ftruncateSync(this.fd, size)
    this.size = size
  }

  truncate(end: number): void {
    this.cut(end)
    this.end = end
    this.sum = null
  }

  /** How far it is. The file is read when this is asked for the first time. */
  get place(): FilePlace {
    this.sum ??= sumOf(this.fd, this.end)!
    return this.lastPlace = { bytes: this.end, sum: this.sum }
  }

  /** How many bytes it holds behind those that were written. */
  get more(): number {
    return this.rewriting.hasMore ? this.size! - this.end : 0
  }

  /** Takes what it holds behind for written. */
  keepMore(): void {
    this.end = this.size!
    this.sum = null
  }

  /**
   * Goes on behind an earlier place: what stands there is written again. Throws if someone has changed it. `complete` is where the
   * last complete record ends: what is behind it goes.
   */
  goBackTo(place: FilePlace, complete = Infinity): void {
    // What was written to this open file is known, and can be long.
    const isKnown = this.lastPlace !== undefined && place.bytes <= this.lastPlace.bytes
    const tail = isKnown ? bytesBehind(this.fd, place.bytes) : tailBehind(this.fd, place)
    this.rewriting = new Rewriting(tail.subarray(0, complete - place.bytes))
    this.end = place.bytes
    this.sum = place.sum
    this.size = place.bytes + tail.length
    if (complete < this.size) this.cut(complete)
  }

  /** Forces it to disk. If it fails, the samples that were not forced to disk may be lost: the system reports this only once. */
  readonly sync: Effect.Effect<void, NodeJS.ErrnoException> = Effect.suspend(() => {
    const samples = this.unsynced
    return Effect.callback<void, NodeJS.ErrnoException>((resume) => {
      fs.fdatasync(this.fd, (error) => {
        if (!error) this.unsynced -= samples
        resume(error ? Effect.fail(error) : Effect.void)
      })
    })
  })
}

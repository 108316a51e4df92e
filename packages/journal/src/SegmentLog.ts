/**
 * What the write-ahead log of a segment holds by its own headers (sqlite.org/fileformat2.html#walformat).
 *
 * SQLite stops at the first damaged frame without a word: it takes the rest for a transaction that a crash has cut off. A commit
 * behind that frame tells that it was not.
 */
import * as fs from "node:fs"

const HEADER = 32
const FRAME_HEADER = 24
/** Its last bit says how the words of checksums are read. */
const MAGIC = 0x377f0682

/** What a log holds. Read it before SQLite opens the log. */
export interface LogContent {
  /** The number of frames up to the last commit, damaged or not. Infinity if the log's own header is damaged. */
  readonly committed: number
  /**
   * Whether the last frame alone is not what its header says. A process that is killed between the two writes of a frame leaves the
   * bytes of an earlier one behind the header, if the log has begun anew.
   */
  readonly isLastCut: boolean
}

/** Nothing, if there is no log. */
export const readLog = (file: string): LogContent => {
  const log = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0)
  // A crash can leave a part of the header, and nothing behind it.
  if (log.length <= HEADER) return { committed: 0, isLastCut: false }
  const word = wordsOf(log)
  let sum = word === null ? null : sumOf(word, 0, 24, [0, 0])
  if (word === null || sum === null || !isSum(log, 24, sum)) return { committed: Infinity, isLastCut: false }
  const salts = log.subarray(16, 24)
  const frameSize = FRAME_HEADER + log.readUInt32BE(8)
  let committed = 0
  let last = 0
  let whole = 0
  for (let at = HEADER, frame = 1; at + frameSize <= log.length; at += frameSize, frame++) {
    // Others are left from before the log began anew.
    if (!log.subarray(at + 8, at + 16).equals(salts)) continue
    last = frame
    if (log.readUInt32BE(at + 4) > 0) committed = frame
    if (whole !== frame - 1) continue
    sum = sumOf(word, at + FRAME_HEADER, at + frameSize, sumOf(word, at, at + 8, sum))
    if (isSum(log, at + 16, sum)) whole = frame
  }
  return { committed, isLastCut: last > 0 && committed === last && whole === last - 1 }
}

type Sum = readonly [first: number, second: number]

/** How the words of its checksums are read; null if it is no log. */
const wordsOf = (log: Buffer): ((at: number) => number) | null => {
  const magic = log.readUInt32BE(0)
  if ((magic & ~1) !== MAGIC) return null
  return magic === MAGIC ? (at) => log.readUInt32LE(at) : (at) => log.readUInt32BE(at)
}

/** Goes on with a checksum. */
const sumOf = (word: (at: number) => number, from: number, to: number, [before, beforeSecond]: Sum): Sum => {
  let [first, second] = [before, beforeSecond]
  for (let at = from; at < to; at += 8) {
    first = (first + word(at) + second) >>> 0
    second = (second + word(at + 4) + first) >>> 0
  }
  return [first, second]
}

const isSum = (log: Buffer, at: number, [first, second]: Sum): boolean =>
  first === log.readUInt32BE(at) && second === log.readUInt32BE(at + 4)

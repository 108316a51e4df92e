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

/**
 * The number of frames up to the last commit, damaged or not. Infinity if the log's own header is damaged; 0 if there is no log.
 * Call it before SQLite opens the log.
 */
export const framesCommitted = (file: string): number => {
  const log = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0)
  // A crash can leave a part of the header, and nothing behind it.
  if (log.length <= HEADER) return 0
  if (!isHeaderWhole(log)) return Infinity
  const salts = log.subarray(16, 24)
  const frameSize = FRAME_HEADER + log.readUInt32BE(8)
  let committed = 0
  for (let at = HEADER, frame = 1; at + frameSize <= log.length; at += frameSize, frame++) {
    const isCommit = log.readUInt32BE(at + 4) > 0
    // Others are left from before the log began anew.
    if (isCommit && log.subarray(at + 8, at + 16).equals(salts)) committed = frame
  }
  return committed
}

const isHeaderWhole = (log: Buffer): boolean => {
  const magic = log.readUInt32BE(0)
  if ((magic & ~1) !== MAGIC) return false
  const word = (at: number) => magic === MAGIC ? log.readUInt32LE(at) : log.readUInt32BE(at)
  let [first, second] = [0, 0]
  for (let at = 0; at < 24; at += 8) {
    first = (first + word(at) + second) >>> 0
    second = (second + word(at + 4) + first) >>> 0
  }
  return first === log.readUInt32BE(24) && second === log.readUInt32BE(28)
}

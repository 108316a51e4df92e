/**
 * An open file and its name, which may lead to another file later: logrotate moves a file away, and the recorder goes on in a new one.
 */
import * as fs from "node:fs"

export interface NamedFile {
  /** The position of its first byte: not 0 if a file that had the name before is read too. */
  readonly begin: number
  /** These change when a newer copy takes its place: what reads it goes on in the copy. */
  fd: number
  dev: bigint
  ino: bigint
}

export const openNamed = (name: string, begin: number): NamedFile => {
  const fd = fs.openSync(name, "r")
  const { dev, ino } = fs.fstatSync(fd, { bigint: true })
  return { begin, fd, dev, ino }
}

export const sizeOf = ({ fd }: NamedFile): number => fs.fstatSync(fd).size

/**
 * The file that the name leads to now: another one, or null. A file without a byte does not count yet, because a recorder may still
 * write to the one before. A newer copy of the file, as rsync and editors make it, takes its place.
 */
export const nextOf = (name: string, file: NamedFile): NamedFile | null => {
  const found = fs.statSync(name, { bigint: true, throwIfNoEntry: false })
  if (found === undefined || found.size === 0n || found.dev === file.dev && found.ino === file.ino) return null
  const next = openNamed(name, file.begin + sizeOf(file))
  if (!isCopyOf(next, file)) return next
  fs.closeSync(file.fd)
  const { dev, fd, ino } = next
  Object.assign(file, { fd, dev, ino })
  return null
}

/** So many bytes show whether two files are the same recording: rows have their times. */
const BEGINNING = 1 << 16

const isCopyOf = (next: NamedFile, file: NamedFile): boolean => {
  const beginning = beginningOf(file)
  return beginning.equals(beginningOf(next).subarray(0, beginning.length))
}

const beginningOf = ({ fd }: NamedFile): Buffer => {
  const bytes = Buffer.alloc(BEGINNING)
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, BEGINNING, 0))
}

/**
 * What the sinks that write a file have in common: the mode, the folders, and the file's identity.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/**
 * What to do with an existing output: refuse it, replace it, or add to it.
 */
export type FileMode = "create" | "overwrite" | "append"

/** Makes the missing parent folders of a file. Node's recursive mkdir never returns if a folder fails with ENOENT, as in /proc. */
export const makeParents = (file: string): void => {
  const folder = path.dirname(file)
  if (fs.existsSync(folder)) return
  makeParents(folder)
  fs.mkdirSync(folder)
}

/** Throws what making a file would throw, as far as this can be known without making it. */
export const checkParents = (file: string): void => {
  const folder = path.dirname(file)
  if (!fs.existsSync(folder) && folder !== path.dirname(folder)) return checkParents(folder)
  if (!fs.statSync(folder).isDirectory()) throw Object.assign(new Error("not a folder"), { code: "ENOTDIR" })
  fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK)
}

/** Throws if the name is too long, such as that of a file which will be beside another one. */
export const checkLength = (file: string): void => void fs.lstatSync(file, { throwIfNoEntry: false })

/** Tells whether the disk of a file is away: its folder then leads to another disk, or nowhere. */
export class Disk {
  private readonly path: string
  private readonly id: number

  /** The folder of the file must be there. */
  constructor(path: string) {
    this.path = path
    this.id = diskOf(path)
  }

  /** Throws what the system says of a device that is away. */
  expect(): void {
    if (diskOf(this.path) !== this.id) throw Object.assign(new Error("nothing is mounted there"), { code: "ENODEV" })
  }
}

/** The disk of the innermost folder that is there. */
const diskOf = (file: string): number => {
  const folder = path.dirname(file)
  const stats = fs.statSync(folder, { throwIfNoEntry: false })
  return stats === undefined && folder !== file ? diskOf(folder) : stats!.dev
}

/** Whether this is a link to a file that does not exist. */
export const isBrokenLink = (file: string): boolean =>
  !fs.existsSync(file) && fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined

/** The name of the file that a name stands for, behind all links. That file may be missing. Throws if the links lead in a circle. */
export const followLinks = (name: string): string => {
  if (fs.statSync(name, { throwIfNoEntry: false }) !== undefined) return fs.realpathSync(name)
  if (!isBrokenLink(name)) return name
  return followLinks(path.resolve(fs.realpathSync(path.dirname(name)), fs.readlinkSync(name)))
}

/** Whether an open file still has this name. */
export const isAt = (file: string, fd: number): boolean => {
  const named = fs.statSync(file, { throwIfNoEntry: false })
  const { dev, ino } = fs.fstatSync(fd)
  return named?.ino === ino && named.dev === dev
}

/** Writes all the bytes at a place in an open file. */
export const writeAll = (fd: number, bytes: Uint8Array, position: number): void => {
  for (let written = 0; written < bytes.length;) {
    written += fs.writeSync(fd, bytes, written, bytes.length - written, position + written)
  }
}

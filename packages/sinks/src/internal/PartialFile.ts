/**
 * A Parquet file while it is recorded: `<name>.partial`, which gets its name when it is complete, and its groups file.
 *
 * The functions without Effect throw the system's errors.
 */
import { SinkOpenError } from "@sampleline/core"
import { removeFile } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileOpenError, type Writer } from "./FileFailure.ts"
import { checkLength, checkParents, type FileMode, followLinks, isAt, makeParents } from "./OutputFile.ts"
import { checkLock, lockOutput } from "./OutputLock.ts"
import {
  areWhole,
  type FinishedGroup,
  type Groups,
  groupsOf,
  isComplete,
  newGroupsOf,
  readGroups,
  rewriteGroups
} from "./ParquetGroups.ts"
import { CHANGED } from "./Rewriting.ts"

interface PartialSettings {
  readonly path: string
  readonly mode: FileMode
}

export const partialOf = (path: string): string => `${path}.partial`

export interface PartialFile {
  /** The name that it gets. */
  readonly path: string
  /** Whether it replaces a file of that name. */
  readonly replaces: boolean
  readonly fd: number
  /** Another file on the same disk, for reserved room. It has no name, so it is gone when the process ends. */
  readonly reserve: number
  /** The open groups file. */
  readonly groups: number
}

/** Takes the name for this recorder, until the scope closes. Fails if a file of that name is in the way. */
export const claimName = Effect.fnUntraced(function*(
  writer: Writer,
  settings: PartialSettings
): Effect.fn.Return<void, SinkOpenError, Scope.Scope> {
  yield* refuseExisting(writer, settings)
  yield* attempt(writer, () => makeParents(settings.path))
  yield* lockOutput(writer, settings.path)
})

/** Fails as `claimName` would, and changes nothing. */
export const checkName = Effect.fnUntraced(function*(
  writer: Writer,
  settings: PartialSettings
): Effect.fn.Return<void, SinkOpenError> {
  yield* refuseExisting(writer, settings)
  yield* attempt(writer, () => checkParents(settings.path))
  if (fs.existsSync(nodePath.dirname(settings.path))) yield* checkLock(writer, settings.path)
})

/** Makes an unfinished file. */
export const makePartial = (path: string, replaces: boolean): PartialFile => {
  const fd = fs.openSync(partialOf(path), "wx", 0o666)
  try {
    return withReserve({ path, replaces, fd, groups: fs.openSync(groupsOf(path), "w", 0o666) })
  } catch (error) {
    discard({ path, fd })
    fs.closeSync(fd)
    throw error
  }
}

/** Makes an unfinished file of the first name that is free: `run.parquet`, `run-2.parquet`, and so on. */
export const makeNextPartial = (path: string): PartialFile => {
  const { dir, ext, name } = nodePath.parse(path)
  let free = path
  for (let n = 2; !isFree(free); n++) free = nodePath.join(dir, `${name}-${n}${ext}`)
  removeFile(partialOf(free))
  return makePartial(free, false)
}

/** An unfinished file that is left holds nothing if its recorder was killed before it wrote anything. */
const isFree = (path: string): boolean =>
  fs.lstatSync(path, { throwIfNoEntry: false }) === undefined
  && (!fs.existsSync(partialOf(path)) || (fs.statSync(partialOf(path)).size === 0 && readGroups(path) === null))

/** A file that another process has begun under a name, or under one with a number that was free. */
export interface BegunFile {
  readonly path: string
  readonly groups: Groups
}

/** The files that were begun under a name and are still known by their groups files. */
export const begunFiles = (path: string): ReadonlyArray<BegunFile> => {
  const { dir, ext, name } = nodePath.parse(path)
  return fs.readdirSync(dir === "" ? "." : dir).flatMap((file) => {
    if (!file.endsWith(groupsOf(""))) return []
    const begun = nodePath.parse(file.slice(0, -groupsOf("").length))
    const isOurs = begun.ext === ext && begun.name.startsWith(name) && /^(-\d+)?$/.test(begun.name.slice(name.length))
    const groups = isOurs ? readGroups(nodePath.join(dir, begun.base)) : null
    return groups === null ? [] : [{ path: nodePath.join(dir, begun.base), groups }]
  })
}

/**
 * Opens an unfinished file that a killed process has left, and gives the row groups that it holds. `through` is the position up to which
 * it must hold everything; null without a journal, which could write them again. `isCut`: row groups behind that are left out. Throws,
 * and changes nothing, if someone has changed the file. After a power cut, the last row groups may be missing.
 */
export const reopenPartial = (
  { groups, path }: BegunFile,
  through: number | null,
  isCut = false
): { readonly file: PartialFile; readonly finished: ReadonlyArray<FinishedGroup> } => {
  const fd = fs.openSync(partialOf(path), "r+")
  try {
    const wholeOnes = areWhole(fd, groups.finished)
    const whole = wholeOnes.includes(false) ? wholeOnes.indexOf(false) : wholeOnes.length
    const isChanged = through === null
      ? whole <= wholeOnes.lastIndexOf(true)
      : (groups.finished[whole - 1]?.through ?? 0) < through
    if (isChanged || (through === null && whole === 0)) throw new Error(CHANGED)
    const finished = groups.finished.slice(0, whole).filter((group) => !isCut || group.through <= through!)
    const { header } = groups
    const file = withReserve({ path, replaces: header.replaces, fd, groups: rewriteGroups(path, header, finished) })
    return { file, finished }
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** Whether a file, under this name now, has its footer. */
export const isCompleteAs = (name: string, groups: Groups): boolean => {
  if (!fs.existsSync(name)) return false
  const fd = fs.openSync(name, "r")
  try {
    return isComplete(fd, groups)
  } finally {
    fs.closeSync(fd)
  }
}

const withReserve = (file: Omit<PartialFile, "reserve">): PartialFile => {
  try {
    return { ...file, reserve: openUnnamed(`${partialOf(file.path)}.reserve`) }
  } catch (error) {
    fs.closeSync(file.groups)
    throw error
  }
}

const openUnnamed = (name: string): number => {
  const fd = fs.openSync(name, "w", 0o600)
  try {
    fs.unlinkSync(name)
    return fd
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

const attempt = <A>(writer: Writer, run: () => A): Effect.Effect<A, SinkOpenError> =>
  Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

const refuseExisting = Effect.fnUntraced(function*(
  writer: Writer,
  { mode, path }: PartialSettings
): Effect.fn.Return<void, SinkOpenError> {
  const refuse = (reason: SinkOpenError["reason"], detail: string) => new SinkOpenError({ ...writer, reason, detail })
  const stats = yield* attempt(writer, () => fs.lstatSync(path, { throwIfNoEntry: false }))
  yield* attempt(writer, () => checkLength(newGroupsOf(path)))
  if (stats?.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile() && !stats.isSymbolicLink()) {
    return yield* refuse(
      "Unknown",
      "it is not a regular file, and Parquet needs one: it is complete only at the end. Record to a file"
    )
  }
  if (stats !== undefined && mode === "create") {
    return yield* refuse(
      "AlreadyExists",
      "it already exists, and a Parquet file cannot be added to; choose another name, or use mode \"append\" (--append) "
        + "to record to a file beside it, or \"overwrite\" (--overwrite) to replace it"
    )
  }
  if (stats?.isSymbolicLink()) {
    const folder = yield* attempt(writer, () => nodePath.dirname(followLinks(path)))
    yield* attempt(writer, () => fs.accessSync(folder, fs.constants.W_OK))
    const isSameDisk = yield* attempt(writer, () => fs.statSync(folder).dev === fs.statSync(nodePath.dirname(path)).dev)
    if (!isSameDisk) {
      return yield* refuse("Unknown", "it is a link to another disk; give the name of the file there")
    }
  }
  if (mode !== "append" && (yield* attempt(writer, () => fs.existsSync(partialOf(path))))) {
    return yield* refuse(
      "AlreadyExists",
      `${
        partialOf(path)
      } exists: its recording is still running, or was killed. End it, or use mode "append" (--append) `
        + "to finish what it left; else remove that file, or choose another name"
    )
  }
})

/** Gives the complete file its name. Does not replace a file that another program has made. */
export const publish = ({ fd, path, replaces }: PartialFile): void => {
  if (!isAt(partialOf(path), fd)) throw new Error(`${partialOf(path)} was moved or removed`)
  if (!replaces && fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw new Error("another program has made this file")
  }
  // Through a link, the file behind it is replaced.
  fs.renameSync(partialOf(path), followLinks(path))
}

export const closePartial = ({ fd, groups, reserve }: PartialFile): void => {
  for (const open of [reserve, groups, fd]) fs.closeSync(open)
}

/** Removes the unfinished file and its groups file, unless the name now belongs to another file. */
export const discard = ({ fd, path }: Pick<PartialFile, "fd" | "path">): void => {
  if (isAt(partialOf(path), fd)) removeFile(partialOf(path))
  forgetGroups(path)
}

/** Removes an unfinished file that has no row group, if it is there, and its groups file. */
export const removeEmpty = (path: string): void => {
  removeFile(partialOf(path))
  forgetGroups(path)
}

export const forgetGroups = (path: string): void => removeFile(groupsOf(path))

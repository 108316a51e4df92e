/**
 * What all sinks that write a file of their own do before and after: folders, existing files, and not leaving anything behind
 * when the run never began.
 */
import {
  InvalidOptionError,
  SinkDependencyError,
  SinkOpenError,
  SourceDependencyError,
  SourceOpenError
} from "@sampleline/core"
import { Cause, Exit } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

/**
 * What to do with an existing output: refuse it, replace it, or add to it.
 *
 * @since 0.1.0
 * @category options
 */
export type FileMode = "create" | "overwrite" | "append"

/** Makes a file's missing parent folders. Node's recursive mkdir never returns where making a folder fails with ENOENT, as in /proc. */
export const makeParents = (file: string): void => {
  const folder = path.dirname(file)
  if (fs.existsSync(folder)) return
  makeParents(folder)
  fs.mkdirSync(folder)
}

/** Throws what making a file would throw, as far as that can be told without making it. */
export const checkParents = (file: string): void => {
  const folder = path.dirname(file)
  if (!fs.existsSync(folder) && folder !== path.dirname(folder)) return checkParents(folder)
  if (!fs.statSync(folder).isDirectory()) throw Object.assign(new Error("not a folder"), { code: "ENOTDIR" })
  fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK)
}

/** Whether the program ended because something could not be opened: then nothing was ever recorded. */
export const neverBegan = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const error = Cause.squash(exit.cause)
  return [SinkOpenError, SinkDependencyError, SourceOpenError, SourceDependencyError, InvalidOptionError]
    .some((openFailure) => error instanceof openFailure)
}

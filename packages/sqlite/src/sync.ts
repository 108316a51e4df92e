/**
 * Forces files and names to disk, without holding up the program.
 */
import { Effect } from "effect"
import * as fs from "node:fs"

/**
 * Forces what a file holds to disk. Does nothing if there is no such file.
 *
 * @since 0.1.0
 * @category files
 */
export const syncFile = (path: string): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.catchIf(sync(path, "r+", "fdatasync"), ({ code }) => code === "ENOENT", () => Effect.void)

/**
 * Forces the names in a folder to disk, where folders can be opened.
 *
 * @since 0.1.0
 * @category files
 */
export const syncFolder = (path: string): Effect.Effect<void> => Effect.ignore(sync(path, "r", "fsync"))

const sync = (
  path: string,
  flags: "r" | "r+",
  force: "fsync" | "fdatasync"
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    fs.open(path, flags, (error, fd) => {
      if (error) return resume(Effect.fail(error))
      fs[force](fd, (failure) => fs.close(fd, () => resume(failure ? Effect.fail(failure) : Effect.void)))
    })
  })

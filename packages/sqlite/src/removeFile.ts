/**
 * Removes files.
 */
import { Predicate } from "effect"
import * as fs from "node:fs"

/**
 * Removes a file if it is there. Throws the system's error. `fs.rmSync` throws one without a code for some of them, such as EROFS.
 *
 * @since 0.1.0
 * @category files
 */
export const removeFile = (path: string): void => {
  try {
    fs.unlinkSync(path)
  } catch (error) {
    if (!Predicate.hasProperty(error, "code") || error.code !== "ENOENT") throw error
  }
}

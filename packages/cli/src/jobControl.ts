/**
 * Job control of Linux: a terminal has one process group in its foreground. A group in the background was started with `&`, or
 * stopped with Ctrl-Z and continued with `bg`.
 */
import * as fs from "node:fs"

/**
 * Whether another process group has the terminal. False without a terminal. Null where nobody can tell: macOS has no file that says
 * it, and Windows has no such groups.
 */
export const isInBackground = (): boolean | null => {
  if (process.platform !== "linux") return null
  try {
    const stat = fs.readFileSync("/proc/self/stat", "utf8")
    // The name of the program comes first, in parentheses, and may hold any character.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return foreground !== "-1" && foreground !== group
  } catch {
    return null
  }
}

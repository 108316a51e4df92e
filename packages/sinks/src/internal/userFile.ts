/**
 * Where libpq looks for a user's own files: in the home folder; on Windows in a folder of its own.
 */
import * as os from "node:os"
import * as path from "node:path"

export const userFile = (name: string, nameOnWindows: string): string =>
  process.platform === "win32"
    ? path.join(process.env["APPDATA"] ?? "", "postgresql", nameOnWindows)
    : path.join(os.homedir(), name)

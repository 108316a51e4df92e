import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** A path in a folder of its own, which the scope removes. */
export const tempFile = (name: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sinks-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    ),
    (folder) => path.join(folder, name)
  )

/** The names and contents of all files in a file's folder. */
export const filesBeside = (file: string) => {
  const folder = path.dirname(file)
  return fs.readdirSync(folder).map((name) => [name, fs.readFileSync(path.join(folder, name)).toString("base64")])
}

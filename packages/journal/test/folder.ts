import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** A path in a folder of its own, which the scope removes. */
export const pathIn = (name: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "journal-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    ),
    (folder) => path.join(folder, name)
  )

import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

interface Block {
  readonly language: string
  readonly code: string
}

/** The code blocks of a README, named from the root. */
export const blocksOf = (readme: string): ReadonlyArray<Block> =>
  [...fs.readFileSync(path.join(ROOT, readme), "utf8").matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
    ([, language = "", code = ""]) => ({ language, code })
  )

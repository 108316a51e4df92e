import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Runs a script of this package and returns what it printed. */
export const run = (name: string, args: ReadonlyArray<string>): string =>
  execFileSync(process.execPath, [fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url)), ...args], {
    encoding: "utf8"
  })

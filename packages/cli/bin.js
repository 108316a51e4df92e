#!/usr/bin/env node
/**
 * The entry point, in plain JavaScript, so that nothing has to be translated before it. `--version` is answered before anything
 * is loaded; everything else is in `dist/main.js`, which is built from `src/main.ts` and kept compiled between runs.
 */
import { readFileSync } from "node:fs"
import { enableCompileCache } from "node:module"

// Where an argument may hold a password: takes the arguments' place in the system's list of processes, which everyone can read.
if (process.argv.some((arg) => /:.*@/.test(arg))) process.title = "sampleline"

const { version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"))

if (process.argv[2] === "--version" || process.argv[2] === "-v") {
  process.stdout.write(`sampleline v${version}\n`)
} else {
  enableCompileCache()
  const { main } = await import("./dist/main.js")
  main(process.argv.slice(2), version)
}

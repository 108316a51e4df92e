#!/usr/bin/env node
/**
 * The entry point. `--version` is answered before anything is loaded; everything else is in `main.ts`.
 */
import { readFileSync } from "node:fs"

// Where an argument may hold a password: takes the arguments' place in the system's list of processes, which everyone can read.
if (process.argv.some((arg) => /:.*@/.test(arg))) process.title = "sampleline"

const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8")
)

if (process.argv[2] === "--version" || process.argv[2] === "-v") {
  process.stdout.write(`sampleline v${version}\n`)
} else {
  const { main } = await import("./main.ts")
  main(process.argv.slice(2), version)
}

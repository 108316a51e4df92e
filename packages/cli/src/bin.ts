#!/usr/bin/env node
/**
 * The entry point. `--version` is answered before anything is loaded; everything else is in `main.ts`.
 */
import { readFileSync } from "node:fs"

const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8")
)

if (process.argv[2] === "--version" || process.argv[2] === "-v") {
  process.stdout.write(`sampleline v${version}\n`)
} else {
  const { main } = await import("./main.ts")
  main(process.argv.slice(2), version)
}

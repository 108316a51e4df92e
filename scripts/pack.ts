/**
 * Turns a package into the form that is published, while npm packs it: builds `dist` and lays `publishConfig` over
 * `package.json`; afterwards puts `package.json` back. Run by `prepack` and `postpack` in the package's folder.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"

if (process.argv[2] === "before") {
  const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")
  execFileSync(process.execPath, [tsc, "-b"], { stdio: "inherit" })
  copyFileSync("package.json", "package.json.saved")
  const { publishConfig: { access, ...published }, ...manifest } = JSON.parse(readFileSync("package.json", "utf8"))
  delete manifest.scripts
  writeFileSync(
    "package.json",
    JSON.stringify({ ...manifest, ...published, publishConfig: { access } }, null, 2) + "\n"
  )
} else {
  renameSync("package.json.saved", "package.json")
}

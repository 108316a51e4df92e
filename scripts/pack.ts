/**
 * Prepares a package for publishing while npm packs it. `before` builds `dist` and merges `publishConfig` into `package.json`;
 * `after` restores `package.json`. `prepack` and `postpack` run it in the package's folder.
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

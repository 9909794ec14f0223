/** The generated code is what the generator makes of the document of the server under test. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { binary } from "./server.js";

test("the code is that of today's document", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "botarmy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const document = join(folder, "openapi.json");
  writeFileSync(document, execFileSync(binary(), ["openapi"], { maxBuffer: 2 ** 26 }));
  const made = join(folder, "rest");
  execFileSync("python3", ["../generate", "typescript", "--openapi", document, "--into", made]);
  const names = readdirSync("src/rest").sort();
  assert.deepEqual(names, readdirSync(made).sort());
  for (const name of names) {
    const same = readFileSync(join("src/rest", name), "utf8") === readFileSync(join(made, name), "utf8");
    assert(same, `src/rest/${name} differs; type: clients/generate typescript`);
  }
});

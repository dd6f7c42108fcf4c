// What the Node clients share: a runner that prints one line per check. Knows no driver.
import { createHash } from "node:crypto";

export const DOCUMENTS = 250;
export const BATCH = 100;

/** 40 MB that do not repeat from chunk to chunk. */
export function blob() {
  const parts = [];
  for (let number = 0; number < (40 * 1024) / 64; number += 1) {
    const hash = createHash("sha256").update(String(number)).digest();
    parts.push(Buffer.alloc(64 * 1024, hash));
  }
  return Buffer.concat(parts);
}

export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      const place = (error.stack ?? "").split("\n").find((line) => line.includes("tests/clients/")) ?? "";
      console.log(`not ok ${name}: ${`${error.name}: ${error.message} ${place}`.replace(/\s+/g, " ")}`);
    }
  }
}

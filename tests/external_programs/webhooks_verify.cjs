// Verifies a message with the library of Standard Webhooks, once with each of its secrets. The public
// keys are checked with Node itself: the library knows `v1` alone.
const fs = require("fs");
const crypto = require("crypto");
const { Webhook } = require("standardwebhooks");

const item = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
for (const secret of item.valid) {
  const message = new Webhook(secret).verify(item.body, item.headers);
  if (message.type !== "webhook_test") throw new Error(JSON.stringify(message));
}
for (const [secret, body] of [[item.wrong, item.body], [item.valid[0], item.body + " "]]) {
  let accepted = true;
  try { new Webhook(secret).verify(body, item.headers); } catch { accepted = false; }
  if (accepted) throw new Error("a message was accepted that is not from the server");
}
const content = Buffer.from(
  `${item.headers["webhook-id"]}.${item.headers["webhook-timestamp"]}.${item.body}`);
const asymmetric = item.headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
for (const key of item.public_keys) {
  const raw = Buffer.from(key.slice("whpk_".length), "base64");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  const publicKey = crypto.createPublicKey({ key: der, format: "der", type: "spki" });
  const valid = asymmetric.some((one) =>
    crypto.verify(null, content, publicKey, Buffer.from(one.slice("v1a,".length), "base64")));
  if (!valid) throw new Error("no signature of " + key);
}
console.log("verified:", item.valid.length);

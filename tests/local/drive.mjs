// Calls of @aws-sdk/client-ecr-public, a line of JSON each; argv: the directory it is installed in, the endpoint.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [directory, endpoint] = process.argv.slice(2);
const sdk = createRequire(`${directory}/`)("@aws-sdk/client-ecr-public");
const client = new sdk.ECRPUBLICClient({ region: "us-east-1", endpoint, maxAttempts: 1 });

const decode = (_, value) => (value?.$blob === undefined ? value : Buffer.from(value.$blob, "base64"));

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, params } = JSON.parse(line, decode);
  let answer;
  try {
    const { $metadata, ...response } = await client.send(new sdk[`${operation}Command`](params));
    answer = { response };
  } catch (error) {
    const { name, message, $fault, $metadata, $response, $service, $retryable, ...members } = error;
    answer = { code: name, message, members };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

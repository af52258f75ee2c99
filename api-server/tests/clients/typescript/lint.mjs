// Validates an OpenAPI document with the rules of Redocly, warnings included.
import { createConfig, formatProblems, getTotals, lint } from "@redocly/openapi-core";

const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    // Paths of the first version stay: /consult/history_list/{id} beside /consult/{id}/messages. Ids are numbers.
    "no-ambiguous-paths": "off",
    // Every operation names its refusals; a liveness probe has none of the 4xx.
    "operation-4xx-response": "error",
    // A service on one's own machine.
    "no-server-example.com": "off",
  },
});
const problems = await lint({ ref: process.argv[2], config });
const totals = getTotals(problems);
if (problems.length > 0) {
  formatProblems(problems, { totals, format: "stylish", maxProblems: 100 });
}
process.exit(totals.errors + totals.warnings > 0 ? 1 : 0);

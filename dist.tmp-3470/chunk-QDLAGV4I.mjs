import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{d as s}from"./chunk-DDU3WEPE.mjs";import{a as r}from"./chunk-C5AMQVWP.mjs";var t=class extends s{static{r(this,"UsageError")}command;constructor(n,o){super("CLI_USAGE",o),this.command=n}};export{t as a};

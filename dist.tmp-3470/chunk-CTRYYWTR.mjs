import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{b as i}from"./chunk-Q6H2QS5E.mjs";import{a as n}from"./chunk-YA35I23K.mjs";import{Va as s}from"./chunk-237K6ZH7.mjs";import{b as t}from"./chunk-DDU3WEPE.mjs";import{a as e}from"./chunk-C5AMQVWP.mjs";function m(p){let o=e(r=>{process.stderr.write(`warning: ${r}
`)},"warn"),a=s(process.env,{overrides:i(p),onWarn:o});return n(a,{onWait:e(r=>{process.stderr.write(`${r}
`)},"onWait"),onWarn:o,onEvent:e(r=>{r.kind==="log"&&process.stderr.write(`${t(r.line)}
`)},"onEvent")})}e(m,"openStore");export{m as a};

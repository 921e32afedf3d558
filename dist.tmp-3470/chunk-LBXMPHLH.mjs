import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{r}from"./chunk-DDU3WEPE.mjs";import{a as s}from"./chunk-OPGFRMKS.mjs";import{a as o,e as i}from"./chunk-C5AMQVWP.mjs";var n=i(s(),1);import{join as t}from"node:path";function m(){return JSON.parse((0,n.readFileSync)(t(r,"package.json"),"utf8")).version}o(m,"version");export{m as a};

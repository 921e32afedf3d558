import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{a as s}from"./chunk-CB2W7JHZ.mjs";import{a as r}from"./chunk-C5AMQVWP.mjs";function u(e,t){return t!=="--pretty"&&t!=="--no-pretty"?!1:(e.isPretty=t==="--pretty",!0)}r(u,"takeJsonLayout");function a(e,{isPretty:t}){s(t??process.stdout.isTTY?i(e):e)}r(a,"printJsonLine");function i(e){let t="";return e.replace(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}[\],:]/gs,n=>{switch(n){case"{":case"[":return t+="  ",`${n}
${t}`;case"}":case"]":return t=t.slice(2),`
${t}${n}`;case",":return`,
${t}`;case":":return": ";default:return n}})}r(i,"indentJson");export{u as a,a as b,i as c};

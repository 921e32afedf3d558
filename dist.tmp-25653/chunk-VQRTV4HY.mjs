import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{c as e}from"./chunk-C5AMQVWP.mjs";var o=e((p,s)=>{s.exports=process});export{o as a};

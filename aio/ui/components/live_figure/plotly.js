/** Loads the vendored Plotly once for all figures of the page. */

/**
 * The npm package plotly.js-cartesian-dist-min, in the version that plotly.py carries. The version stands in the address
 * because the browser keeps the file for good.
 */
const address = new URL("./vendor/plotly-cartesian.min.js?v=4.1.1", import.meta.url);

async function load() {
  // Streamlit serves a component's files without validators: a plain import would fetch 500 kB at every page load.
  const response = await fetch(address, { cache: "force-cache" });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  const script = URL.createObjectURL(new Blob([await response.text()], { type: "text/javascript" }));
  await import(script);
  URL.revokeObjectURL(script);
  // So the bundle's module wrapper calls it. It is also the global Plotly, but st.plotly_chart may set that to its own.
  const { moduleName: Plotly } = globalThis;
  delete globalThis.moduleName;
  Plotly.setPlotConfig({ logging: 0 }); // what is wrong with a figure is said in its box
  return Plotly;
}

/** Plotly, on its way from the first import of this module on. */
export const plotly = load().catch((cause) => {
  throw new Error("its library did not load", { cause });
});
plotly.catch(() => {}); // handled by every figure that awaits it

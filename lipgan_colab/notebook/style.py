"""How the widget looks, in light and in dark, on wide screens and on a phone's."""

from lipgan_colab.workspace import on_colab

# After a restart the front end keeps the controls, each with a broken link; opened anew, a notebook has lost them.
RUN_AGAIN = "The controls that were here ended with the notebook's kernel. Run all cells again: " + (
    "Runtime > Run all." if on_colab() else "Run > Run All Cells, or Cell > Run All in older ones."
)
GONE = f'<p class="lipgan-gone">{RUN_AGAIN.replace(">", "&gt;")}</p>'  # not seen where STYLE is

# Front ends have one for light pages alone.
ARROW = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 12 8">'
    '<path d="M1.5 1.5l4.5 4.5 4.5-4.5" fill="none" stroke="%23808080" stroke-width="2"/></svg>'
)

STYLE = """<style>
.lipgan { max-width: 980px; width: 100%; container-type: inline-size; }
.lipgan-card { border: 1px solid rgba(128, 128, 128, .35); border-radius: 12px; padding: 12px 16px 14px; margin: 6px;
  min-width: 0; box-sizing: border-box; }
.lipgan h3 { margin: 2px 0 6px; font-size: 16px; font-weight: 600; }
.lipgan small { opacity: .7; line-height: 1.4; display: block; overflow-wrap: anywhere; white-space: normal; }
.lipgan-notice { border-left: 4px solid; padding: 4px 10px; margin: 4px 0; line-height: 1.45; max-width: 880px;
  background: rgba(128, 128, 128, .1); border-radius: 4px; overflow-wrap: anywhere; white-space: pre-line; }
.lipgan-notice summary { display: list-item; cursor: pointer; width: fit-content; }
.lipgan-notice pre { font-size: 11px; max-height: 240px; overflow: auto; white-space: pre-wrap; }
.lipgan .widget-html-content { min-width: 0; }
.lipgan .widget-checkbox { height: auto; margin: 6px 2px; width: 98%; }
.lipgan .widget-checkbox label { height: auto; white-space: normal; line-height: 1.4; }
.lipgan audio { max-width: 100%; width: 320px; }
.lipgan .widget-audio { max-width: 100%; margin-left: 0; margin-right: 0; }
.lipgan img, .lipgan video { border-radius: 8px; max-width: 100%; height: auto; object-fit: contain; }
.lipgan video { width: auto; }

.lipgan .lipgan-named > .widget-label { position: absolute; width: 1px; height: 1px; min-width: 0; margin: 0;
  padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.lipgan .lipgan-fold { background: transparent; font-weight: 600; padding: 0 6px; margin: 4px 0; text-align: left; }
.lipgan .lipgan-fold .fa { width: 12px; }
.lipgan .lipgan-busy { opacity: .45; }
.lipgan button:focus-visible, .lipgan input:focus-visible, .lipgan select:focus-visible {
  outline: 2px solid #1a73e8; outline-offset: 1px; }
.lipgan .widget-dropdown > select { background-image: url('data:image/svg+xml;utf8,ARROW');
  background-repeat: no-repeat; background-position: right 6px center; background-size: 12px; padding-right: 24px;
  appearance: none; -webkit-appearance: none; }

.lipgan .lipgan-faces { position: relative; display: block; width: fit-content; max-width: 100%; margin: 6px 0;
  overflow: hidden; line-height: 0; }
.lipgan .lipgan-faces > * { margin: 0; }
.lipgan .lipgan-faces img { max-height: 360px; width: auto; }
.lipgan .lipgan-faces .lipgan-face { position: absolute; min-width: 0; padding: 0; background: transparent;
  color: transparent; border: 2px solid transparent; border-radius: 6px; box-shadow: none; overflow: hidden;
  cursor: pointer; box-sizing: border-box; }
.lipgan .lipgan-faces .lipgan-face:hover { background: rgba(255, 255, 255, .2); border-color: white;
  color: transparent; }
.lipgan .lipgan-faces .lipgan-face:focus-visible { outline: 3px solid #1a73e8; outline-offset: -3px; }
.lipgan .lipgan-faces .lipgan-chosen { border-color: rgb(52, 199, 89); }

.lipgan-strip { display: flex; position: relative; border-radius: 8px; overflow: hidden; margin: 0 8px; }
.lipgan .lipgan-strip img { flex: 1 1 0; width: 0; min-width: 0; height: auto; min-height: 44px; max-height: 96px;
  object-fit: cover; border-radius: 0; }
.lipgan-strip i { position: absolute; top: 0; bottom: 0; background: rgba(40, 40, 40, .72); }
.lipgan-times { display: flex; margin: 0 8px; font-size: 11px; opacity: .7; line-height: 1.6; }
.lipgan-times span { flex: 1 1 0; min-width: 0; text-align: center; white-space: nowrap; }

.lipgan-voice { border-top: 1px solid rgba(128, 128, 128, .35); padding-top: 6px; margin-top: 6px; }
.lipgan-row { border-top: 1px solid rgba(128, 128, 128, .35); padding: 6px 0; }
.lipgan .lipgan-save { width: auto; }
.lipgan .lipgan-thumbnail { flex: 0 0 auto; margin: 2px 10px 2px 0; line-height: 0; }
.lipgan .lipgan-thumbnail .widget-html-content { line-height: 0; }
.lipgan .lipgan-thumbnail img { width: 72px; height: 72px; object-fit: cover; object-position: 50% 8%; }
.lipgan-warning { border-left-color: #e37400; }
.lipgan .lipgan-preview img { max-height: 220px; }
.lipgan-row b { display: block; overflow-wrap: anywhere; white-space: normal; line-height: 1.4; }
@container (max-width: 620px) {
  .lipgan-card { padding: 8px 8px 10px; margin: 4px 0; }
  .lipgan .widget-dropdown, .lipgan .widget-hslider { flex-wrap: wrap; height: auto; }
  .lipgan .widget-dropdown .widget-label, .lipgan .widget-hslider .widget-label { flex: 1 0 100%; text-align: left; }
  .lipgan .widget-dropdown, .lipgan .widget-dropdown > select { min-width: 0; }
  .lipgan .widget-dropdown > select { height: 28px; }
  .lipgan .widget-hslider { min-height: 28px; }
  .lipgan-times span:nth-child(even) { visibility: hidden; }
}

.lipgan-gone { display: none; }
.lipgan.jupyter-widgets-disconnected > * { display: none; }
.lipgan.jupyter-widgets-disconnected::before { content: "RUN_AGAIN"; white-space: normal; }
</style>""".replace("RUN_AGAIN", RUN_AGAIN).replace("ARROW", ARROW)

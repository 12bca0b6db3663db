"""How the widget looks, in light and in dark, on wide screens and on a phone's."""

STYLE = """<style>
.lipgan { max-width: 980px; width: 100%; container-type: inline-size; }
.lipgan-card { border: 1px solid rgba(128, 128, 128, .35); border-radius: 12px; padding: 12px 16px 14px; margin: 6px;
  min-width: 0; box-sizing: border-box; }
.lipgan h3 { margin: 2px 0 6px; font-size: 16px; font-weight: 600; }
.lipgan small { opacity: .7; line-height: 1.4; display: block; overflow-wrap: anywhere; white-space: normal; }
.lipgan-notice { border-left: 4px solid; padding: 4px 10px; margin: 4px 0; line-height: 1.45; max-width: 880px;
  background: rgba(128, 128, 128, .1); border-radius: 4px; overflow-wrap: anywhere; white-space: pre-line; }
.lipgan-notice pre { font-size: 11px; max-height: 240px; overflow: auto; white-space: pre-wrap; }
.lipgan .widget-html-content { min-width: 0; }
.lipgan .widget-checkbox { height: auto; margin: 6px 2px; }
.lipgan .widget-checkbox label { height: auto; white-space: normal; line-height: 1.4; }
.lipgan audio { max-width: 100%; }
.lipgan img, .lipgan video { border-radius: 8px; max-width: 100%; height: auto; object-fit: contain; }

.lipgan .lipgan-faces { position: relative; display: block; width: fit-content; max-width: 100%; margin: 6px 0;
  overflow: hidden; line-height: 0; }
.lipgan .lipgan-faces > * { margin: 0; }
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
</style>"""

"""The Bokeh page and the websocket feed it lives on."""

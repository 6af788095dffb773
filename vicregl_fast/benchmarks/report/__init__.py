"""The page that ``bench report`` makes of saved figures: tables and pictures."""
